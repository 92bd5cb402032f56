//! Our records as librdkafka's, and back.

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{BorrowedHeaders, BorrowedMessage, Header as KafkaHeader, Headers, OwnedHeaders},
};

use crate::{
    id::{Lane, SourceLane},
    log::{Header, LogRecord, record::name},
    runtime::Timestamp,
};

/// Names that nearly every record has: not copied each time.
const KNOWN: &[&str] = &[
    name::SPEC_VERSION,
    name::ID,
    name::SOURCE,
    name::TYPE,
    name::TIME,
    name::SUBJECT,
    name::DATA_SCHEMA,
    name::CONTENT_TYPE,
    name::CORRELATION_ID,
    name::CAUSATION_ID,
    name::SEQUENCE,
    name::PARTITION_KEY,
    name::LANE,
    name::LANE_SEQ,
    name::STREAM_VERSION,
    name::TRACE_PARENT,
    "tracestate",
    "baggage",
];

/// The partition as Kafka counts it.
pub(super) fn partition(lane: Lane) -> i32 {
    i32::try_from(lane.0).unwrap_or(i32::MAX)
}

/// The lane of a partition; partitions are never negative.
pub(super) fn lane(partition: i32) -> Lane {
    Lane(u32::try_from(partition).unwrap_or(0))
}

/// The headers, in order. Kafka allows a name twice, and so do we: nothing is added to what is given.
pub(super) fn headers(headers: &[Header]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |all, header| {
        all.insert(KafkaHeader { key: &header.name, value: Some(&*header.value) })
    })
}

/// A record that was read. Its parts share one buffer.
pub(super) fn record(topic: &Arc<str>, message: &BorrowedMessage<'_>) -> LogRecord {
    let mut parts = Parts::with_room_for(message);
    let key = parts.put(message.key().unwrap_or_default());
    let value = parts.put(message.payload().unwrap_or_default());
    let found = message.headers().map(|theirs| found(theirs, &mut parts)).unwrap_or_default();
    let parts = Bytes::from(parts.0);
    let ours = |(name, value)| Header { name, value: parts.slice(value) };
    LogRecord {
        source: SourceLane { topic: Arc::clone(topic), lane: lane(message.partition()) },
        offset: message.offset(),
        key: parts.slice(key),
        value: parts.slice(value),
        headers: found.into_iter().map(ours).collect(),
        time: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
    }
}

/// One buffer for everything that a record has.
struct Parts(Vec<u8>);

impl Parts {
    /// Headers are asked for one by one, at a price: their room is guessed rather than counted. Ours take
    /// less; what takes more moves once.
    const HEADER_BYTES: usize = 512;

    fn with_room_for(message: &BorrowedMessage<'_>) -> Self {
        let (key, value) = (message.key_len(), message.payload_len());
        Self(Vec::with_capacity(key + value + Self::HEADER_BYTES))
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.0.len();
        self.0.extend_from_slice(bytes);
        start..self.0.len()
    }
}

/// The headers' names, and where their values are.
fn found(theirs: &BorrowedHeaders, parts: &mut Parts) -> Vec<(Cow<'static, str>, Range<usize>)> {
    let mut found = Vec::with_capacity(theirs.count());
    for header in theirs.iter() {
        let name = name_of(header.key, found.len());
        found.push((name, parts.put(header.value.unwrap_or_default())));
    }
    found
}

/// A name that is known is not copied. Our own records have them in the order of [`KNOWN`].
fn name_of(name: &str, at: usize) -> Cow<'static, str> {
    let expected = KNOWN.get(at).filter(|known| **known == name);
    match expected.or_else(|| KNOWN.iter().find(|known| **known == name)) {
        Some(known) => Cow::Borrowed(*known),
        None => Cow::Owned(name.to_owned()),
    }
}

/// About how much memory a record takes, in bytes.
pub(super) fn size(record: &LogRecord) -> usize {
    let headers: usize = record.headers.iter().map(|h| h.value.len() + size_of::<Header>()).sum();
    record.key.len() + record.value.len() + headers + size_of::<LogRecord>()
}
