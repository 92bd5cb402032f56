//! Reads topics from their start, on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers as _},
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// The most messages that are handed over at once.
const CHUNK: usize = 512;

/// A message as it was read.
pub(crate) struct Message {
    /// Its topic's place among those that are read.
    pub(crate) topic: usize,
    pub(crate) lane: i32,
    pub(crate) offset: i64,
    /// Its number in the lane.
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
    pub(crate) saga: Uuid,
    pub(crate) event_type: String,
    pub(crate) key: String,
    pub(crate) trace: Option<Arc<str>>,
    pub(crate) payload: Vec<u8>,
}

/// Hands messages over until it is told to stop, or nobody takes them.
pub(crate) fn start(
    kafka: &str,
    topics: &[String],
    lanes: i32,
    stop: Arc<AtomicBool>,
) -> Result<mpsc::Receiver<Vec<Message>>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "bench.raw")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.min.messages", "4096")
        .create()?;
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for lane in 0..lanes {
            list.add_partition_offset(topic, lane, Offset::Beginning)?;
        }
    }
    consumer.assign(&list)?;
    let (messages, taken) = mpsc::channel(4);
    let topics = topics.to_vec();
    std::thread::Builder::new().name("raw-consumer".into()).spawn(move || {
        if let Err(error) = read(&consumer, &topics, &messages, &stop) {
            tracing_error(&error);
        }
    })?;
    Ok(taken)
}

#[allow(clippy::print_stderr, reason = "the run stands still then, and this says why")]
fn tracing_error(error: &anyhow::Error) {
    eprintln!("bench: the hand-written consumer: {error:#}");
}

fn read(
    consumer: &BaseConsumer,
    topics: &[String],
    messages: &mpsc::Sender<Vec<Message>>,
    stop: &AtomicBool,
) -> Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    while !stop.load(Ordering::Relaxed) {
        let wait = if chunk.is_empty() { Duration::from_millis(50) } else { Duration::ZERO };
        match consumer.poll(wait) {
            Some(message) => chunk.push(decode(&message?, topics)?),
            None if chunk.is_empty() => continue,
            None => {
                if messages.blocking_send(std::mem::take(&mut chunk)).is_err() {
                    return Ok(());
                }
            }
        }
        if chunk.len() >= CHUNK && messages.blocking_send(std::mem::take(&mut chunk)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn decode(message: &BorrowedMessage<'_>, topics: &[String]) -> Result<Message> {
    let headers = message.headers().context("no headers")?;
    let (mut seq, mut id, mut saga, mut event_type) = (None, None, None, None);
    let mut trace = None;
    for header in headers.iter() {
        let Some(value) = header.value else { continue };
        let text = || std::str::from_utf8(value);
        match header.key {
            "ce_laneseq" => seq = Some(text()?.parse()?),
            "ce_id" => id = Some(text()?.parse()?),
            "ce_correlationid" => saga = Some(text()?.parse()?),
            "traceparent" => trace = Some(text()?.into()),
            "ce_type" => event_type = Some(text()?.to_owned()),
            _ => {}
        }
    }
    let topic = topics.iter().position(|topic| topic == message.topic()).context("no topic")?;
    let key = std::str::from_utf8(message.key().context("no key")?)?;
    let payload = message.payload().context("no payload")?;
    ensure!(payload.len() < 500_000, "a payload that is too large");
    Ok(Message {
        topic,
        lane: message.partition(),
        offset: message.offset(),
        seq: seq.context("no number")?,
        id: id.context("no id")?,
        saga: saga.context("no saga")?,
        event_type: event_type.context("no type")?,
        key: key.to_owned(),
        trace,
        payload: payload.to_vec(),
    })
}
