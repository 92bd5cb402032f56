//! A topic's committed records and its partitions' ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};

use crate::evidence::{End, Log, Record};

/// For one answer of a broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// From one record to the next, or to the end.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

pub(crate) const COMMITTED: &str = "read_committed";
const UNCOMMITTED: &str = "read_uncommitted";

pub(crate) fn settings(kafka: &str, isolation: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", kafka)
        .set("group.id", "checker")
        .set("client.id", "checker")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // An answer without records is what tells the end: it need not be waited for.
        .set("fetch.wait.max.ms", "20")
        .set("reconnect.backoff.max.ms", "1000")
        // A partition that was without a leader for a moment is looked for again soon: the default, five minutes,
        // is longer than anybody waits here.
        .set("topic.metadata.refresh.interval.ms", "1000")
        .set("auto.offset.reset", "error");
    settings
}

pub(crate) fn consumer(kafka: &str, isolation: &str) -> Result<BaseConsumer> {
    Ok(settings(kafka, isolation).create()?)
}

/// The partitions of a topic.
pub(crate) fn partitions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
) -> Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_LIMIT)?;
    let partitions = metadata.topics().first().context("no topic")?.partitions();
    ensure!(!partitions.is_empty(), "{topic} has no partitions");
    Ok(partitions.iter().map(|partition| partition.id()).collect())
}

/// Reads a topic from its beginning to its end.
///
/// # Errors
/// What the broker says.
pub fn read(kafka: &str, topic: &str) -> Result<Log> {
    let (committed, all) = (consumer(kafka, COMMITTED)?, consumer(kafka, UNCOMMITTED)?);
    let partitions = partitions(&committed, topic)?;
    let mut log = Log::default();
    let mut list = TopicPartitionList::new();
    for &partition in &partitions {
        // Under read_committed the end that is told is the last stable offset.
        let (first, last_stable) = committed.fetch_watermarks(topic, partition, ANSWER_LIMIT)?;
        let (_, high) = all.fetch_watermarks(topic, partition, ANSWER_LIMIT)?;
        log.ends.push(End { partition, last_stable, high });
        list.add_partition_offset(topic, partition, Offset::Offset(first))?;
    }
    committed.assign(&list)?;
    let mut open = partitions.len();
    let mut last = Instant::now();
    while open > 0 {
        match committed.poll(POLL) {
            None => ensure!(last.elapsed() < SILENCE_LIMIT, "{open} partitions have no end"),
            Some(Ok(message)) => {
                log.records.push(record(&message));
                last = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                open -= 1;
                last = Instant::now();
            }
            Some(Err(error)) => bail!(error),
        }
    }
    log.records.sort_by_key(|record| (record.partition, record.offset));
    Ok(log)
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
        timestamp_ms: message.timestamp().to_millis(),
        headers: headers(message),
    }
}

/// The headers, in order. None of a record that has one whose name is no UTF-8: rdkafka 0.39 panics over it, and
/// a reader that anybody who writes to the topic can end sees nothing of what comes then.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let read = || {
        let all = message.headers().into_iter().flat_map(|headers| headers.iter());
        all.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()
}
