//! Our records as librdkafka's, and back.

use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};
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
    let key = message.key().unwrap_or_default();
    let value = message.payload().unwrap_or_default();
    let theirs = message.headers();
    let header_bytes: usize =
        theirs.map_or(0, |all| all.iter().filter_map(|h| h.value.map(<[u8]>::len)).sum());
    let mut buffer = BytesMut::with_capacity(key.len() + value.len() + header_bytes);
    let mut part = |bytes: &[u8]| -> Bytes {
        buffer.extend_from_slice(bytes);
        buffer.split().freeze()
    };
    LogRecord {
        source: SourceLane { topic: Arc::clone(topic), lane: lane(message.partition()) },
        offset: message.offset(),
        key: part(key),
        value: part(value),
        headers: theirs.map_or_else(|| Arc::from([]), |all| our_headers(all, &mut part)),
        time: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
    }
}

fn our_headers(theirs: &BorrowedHeaders, part: &mut impl FnMut(&[u8]) -> Bytes) -> Arc<[Header]> {
    theirs
        .iter()
        .map(|header| Header {
            name: KNOWN
                .iter()
                .find(|known| **known == header.key)
                .map_or_else(|| Cow::Owned(header.key.to_owned()), |known| Cow::Borrowed(*known)),
            value: part(header.value.unwrap_or_default()),
        })
        .collect()
}

/// About how much memory a record takes, in bytes.
pub(super) fn size(record: &LogRecord) -> usize {
    let headers: usize = record.headers.iter().map(|h| h.value.len() + size_of::<Header>()).sum();
    record.key.len() + record.value.len() + headers + size_of::<LogRecord>()
}
