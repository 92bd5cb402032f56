//! What a plain consumer finds in a service's topic, and the comparison with the tables.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    processes::{SERVICES, Stack},
    tables::Stored,
};

const COMMITTED: &str = "read_committed";
const UNCOMMITTED: &str = "read_uncommitted";
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const READ_LIMIT: Duration = Duration::from_secs(60);

/// A record as it was read.
#[derive(Debug)]
pub struct Published {
    partition: i32,
    key: String,
    value: Vec<u8>,
    time: Option<i64>,
    headers: BTreeMap<String, String>,
}

/// All committed records of a topic, in the order of each partition.
///
/// # Errors
/// What the broker says, or a record that is not ours.
pub async fn read_all(stack: &Stack, service: &str) -> Result<Vec<Published>> {
    read(stack, service, COMMITTED).await
}

/// All records of a topic, those of aborted and of open transactions included.
///
/// # Errors
/// As [`read_all`].
pub async fn read_uncommitted(stack: &Stack, service: &str) -> Result<Vec<Published>> {
    read(stack, service, UNCOMMITTED).await
}

async fn read(stack: &Stack, service: &str, isolation: &'static str) -> Result<Vec<Published>> {
    let (kafka, topic) = (stack.kafka.clone(), stack.topic(service));
    tokio::task::spawn_blocking(move || read_topic(&kafka, &topic, isolation)).await?
}

fn consumer(kafka: &str, isolation: &str) -> Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "stack.check")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?)
}

/// A partition in which a transaction is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Where.
    pub topic: String,
    /// Where there.
    pub partition: i32,
    /// The last stable offset: where it begins.
    pub from: i64,
    /// The end of the partition.
    pub to: i64,
}

/// Where in the services' topics a transaction is open.
///
/// # Errors
/// What the broker says.
pub async fn open_transactions(stack: &Stack) -> Result<Vec<OpenTransaction>> {
    let topics = SERVICES.map(|service| stack.topic(service));
    let kafka = stack.kafka.clone();
    tokio::task::spawn_blocking(move || find_open(&kafka, &topics)).await?
}

fn find_open(kafka: &str, topics: &[String]) -> Result<Vec<OpenTransaction>> {
    // Under read_committed the end that is told is the last stable offset.
    let (stable, all) = (consumer(kafka, COMMITTED)?, consumer(kafka, UNCOMMITTED)?);
    let mut open = vec![];
    for topic in topics {
        for partition in partitions(&all, topic)? {
            let (_, from) = stable.fetch_watermarks(topic, partition, ANSWER_LIMIT)?;
            let (_, to) = all.fetch_watermarks(topic, partition, ANSWER_LIMIT)?;
            if from < to {
                open.push(OpenTransaction { topic: topic.clone(), partition, from, to });
            }
        }
    }
    Ok(open)
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_LIMIT)?;
    let partitions = metadata.topics().first().context("no topic")?.partitions();
    ensure!(!partitions.is_empty(), "{topic} has no partitions");
    Ok(partitions.iter().map(|partition| partition.id()).collect())
}

fn read_topic(kafka: &str, topic: &str, isolation: &str) -> Result<Vec<Published>> {
    let consumer = consumer(kafka, isolation)?;
    let partitions = partitions(&consumer, topic)?;
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut open = partitions.len();
    let mut found = vec![];
    let deadline = std::time::Instant::now() + READ_LIMIT;
    while open > 0 {
        ensure!(std::time::Instant::now() < deadline, "{topic} cannot be read to its end");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => found.push(Published::read(&message)?),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => bail!("{topic}: {error}"),
        }
    }
    found.sort_by_key(|record| record.partition);
    Ok(found)
}

impl Published {
    fn read(message: &BorrowedMessage<'_>) -> Result<Self> {
        let text = |bytes: Option<&[u8]>| -> Result<String> {
            Ok(std::str::from_utf8(bytes.context("nothing")?)?.to_owned())
        };
        let mut headers = BTreeMap::new();
        for header in message.headers().context("no headers")?.iter() {
            let earlier = headers.insert(header.key.to_owned(), text(header.value)?);
            ensure!(earlier.is_none(), "{} is there twice", header.key);
        }
        Ok(Self {
            partition: message.partition(),
            key: text(message.key())?,
            value: message.payload().unwrap_or_default().to_vec(),
            time: message.timestamp().to_millis(),
            headers,
        })
    }
}

/// Log = store: the same events, the same bytes, the same order in each lane.
///
/// # Errors
/// The first difference.
pub fn compare(service: &str, stored: &[Stored], published: &[Published]) -> Result<()> {
    ensure!(
        stored.len() == published.len(),
        "{service}: {} events in the store, {} in the log",
        stored.len(),
        published.len()
    );
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for (event, record) in stored.iter().zip(published) {
        let dense = next.entry(event.lane).or_insert(1);
        ensure!(event.lane_seq == *dense, "{service}: lane {} has a hole at {dense}", event.lane);
        *dense += 1;
        same(service, event, record).with_context(|| format!("{event:?}\n{record:?}"))?;
    }
    Ok(())
}

fn same(service: &str, event: &Stored, record: &Published) -> Result<()> {
    ensure!(event.lane == record.partition, "another partition");
    ensure!(event.key == record.key, "another key");
    ensure!(event.payload == record.value, "other bytes");
    ensure!(record.time == Some(event.time / 1000), "another time");
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_source", format!("/quadrille/{service}")),
        ("ce_type", event.event_type.clone()),
        ("ce_subject", event.key.clone()),
        ("ce_correlationid", event.saga.to_string()),
        ("ce_causationid", event.causation.clone()),
        ("ce_lane", event.lane.to_string()),
        ("ce_laneseq", event.lane_seq.to_string()),
        ("ce_streamversion", event.version.to_string()),
        ("content-type", "application/json".to_owned()),
    ];
    for (name, value) in headers {
        ensure!(record.headers.get(name) == Some(&value), "the header {name} is not {value:?}");
    }
    Ok(())
}

#[test]
fn the_comparison_sees_every_difference() {
    let event = |lane_seq, key: &str| Stored {
        lane: 0,
        lane_seq,
        id: uuid::Uuid::nil(),
        saga: uuid::Uuid::nil(),
        stream: "s/1".into(),
        version: 1,
        event_type: "T".into(),
        causation: "c".into(),
        key: key.into(),
        time: 5_000,
        payload: b"{}".to_vec(),
    };
    let record = |lane_seq: i64| Published {
        partition: 0,
        key: "k".into(),
        value: b"{}".to_vec(),
        time: Some(5),
        headers: [
            ("ce_specversion", "1.0"),
            ("ce_id", "00000000-0000-0000-0000-000000000000"),
            ("ce_source", "/quadrille/order"),
            ("ce_type", "T"),
            ("ce_subject", "k"),
            ("ce_correlationid", "00000000-0000-0000-0000-000000000000"),
            ("ce_causationid", "c"),
            ("ce_lane", "0"),
            ("ce_laneseq", &lane_seq.to_string()),
            ("ce_streamversion", "1"),
            ("content-type", "application/json"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    let compared = |stored: &[Stored], log: &[Published]| compare("order", stored, log);
    assert!(compared(&[event(1, "k")], &[record(1)]).is_ok());
    assert!(compared(&[event(1, "k"), event(2, "k")], &[record(1)]).is_err(), "lost");
    assert!(compared(&[event(1, "k")], &[record(1), record(1)]).is_err(), "twice");
    assert!(compared(&[event(2, "k")], &[record(2)]).is_err(), "a hole");
    assert!(compared(&[event(1, "k"), event(2, "k")], &[record(2), record(1)]).is_err(), "order");
    assert!(compared(&[event(1, "x")], &[record(1)]).is_err(), "another key");
    let other_bytes = Published { value: b"[]".to_vec(), ..record(1) };
    assert!(compared(&[event(1, "k")], &[other_bytes]).is_err(), "other bytes");
}
