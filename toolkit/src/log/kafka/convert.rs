//! Our records as librdkafka's, and back.

use std::sync::Arc;

use rdkafka::{
    Message,
    message::{
        BorrowedHeaders, BorrowedMessage, Header as KafkaHeader, Headers as _, OwnedHeaders,
    },
};

use crate::{
    id::{Lane, SourceLane},
    log::{Headers, HeadersBuilder, LogRecord},
    runtime::Timestamp,
};

/// Headers are asked for one by one, at a price: their room is guessed rather than counted. Ours take less; what
/// takes more moves once.
const HEADER_BYTES: usize = 512;

/// The partition as Kafka counts it.
pub(super) fn partition(lane: Lane) -> i32 {
    i32::try_from(lane.0).unwrap_or(i32::MAX)
}

/// The lane of a partition; partitions are never negative.
pub(super) fn lane(partition: i32) -> Lane {
    Lane(u32::try_from(partition).unwrap_or(0))
}

/// The headers, in order. Kafka allows a name twice, and so do we: nothing is added to what is given.
pub(super) fn headers(headers: &Headers) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |all, header| {
        all.insert(KafkaHeader { key: header.name, value: Some(header.value) })
    })
}

/// A record that was read. Its parts share one buffer.
pub(super) fn record(topic: &Arc<str>, message: &BorrowedMessage<'_>) -> LogRecord {
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    let theirs = message.headers();
    let count = theirs.map_or(0, |theirs| theirs.count());
    let mut parts = HeadersBuilder::with_capacity(key.len() + value.len() + HEADER_BYTES, count);
    let (key, value) = (parts.part(key), parts.part(value));
    for header in theirs.into_iter().flat_map(BorrowedHeaders::iter) {
        parts.put(header.key, header.value.unwrap_or_default());
    }
    let (bytes, headers) = parts.finish();
    LogRecord {
        source: SourceLane { topic: Arc::clone(topic), lane: lane(message.partition()) },
        offset: message.offset(),
        key: bytes.slice(key.range()),
        value: bytes.slice(value.range()),
        headers,
        time: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
    }
}

/// About how much memory a record takes, in bytes. Its parts share the headers' buffer.
pub(super) fn size(record: &LogRecord) -> usize {
    record.headers.memory() + size_of::<LogRecord>()
}
