//! Our records as librdkafka's, and back.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{
        BorrowedHeaders, BorrowedMessage, Header as KafkaHeader, Headers as _, OwnedHeaders,
    },
};

use crate::{
    id::{Lane, SourceLane},
    log::{
        Headers, HeadersBuilder, Known, LogRecord,
        record::{GLANCED, name},
    },
    runtime::Timestamp,
};

/// Headers are asked for one by one, at a price: their room is guessed rather than counted. Ours take less; what
/// takes more moves once.
const HEADER_BYTES: usize = 512;
/// The same, for those few that number a record.
const GLANCED_BYTES: usize = 128;

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

/// A record that was read. Its parts share one buffer. Where only some event types are wanted in full, one of
/// another type has no more than what [`glance`](crate::log::record::glance) looks at.
pub(super) fn record(
    topic: &Arc<str>,
    message: &BorrowedMessage<'_>,
    wanted: Option<&BTreeSet<Box<str>>>,
) -> LogRecord {
    let theirs = message.headers();
    if let (Some(wanted), Some(theirs)) = (wanted, theirs)
        && let Some((bytes, headers)) = unwanted(theirs, wanted)
    {
        return made(topic, message, headers, bytes.slice(..0), bytes.slice(..0));
    }
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    let count = theirs.map_or(0, |theirs| theirs.count());
    let mut parts = HeadersBuilder::with_capacity(key.len() + value.len() + HEADER_BYTES, count);
    let (key, value) = (parts.part(key), parts.part(value));
    for header in theirs.into_iter().flat_map(BorrowedHeaders::iter) {
        parts.put(header.key, header.value.unwrap_or_default());
    }
    let (bytes, headers) = parts.finish();
    made(topic, message, headers, bytes.slice(key.range()), bytes.slice(value.range()))
}

/// Of a record as we write them, in which every header has its place and comes once, and whose type is not
/// wanted: the few headers that number it.
fn unwanted(theirs: &BorrowedHeaders, wanted: &BTreeSet<Box<str>>) -> Option<(Bytes, Headers)> {
    if theirs.count() > Known::COUNT {
        return None;
    }
    let mut parts = HeadersBuilder::with_capacity(GLANCED_BYTES, GLANCED.len());
    for known in GLANCED {
        let header = theirs.try_get(known.place()).filter(|it| it.key == known.name())?;
        let value = header.value?;
        if header.key == name::TYPE && wanted.contains(std::str::from_utf8(value).ok()?) {
            return None;
        }
        parts.put(header.key, value);
    }
    Some(parts.finish())
}

fn made(
    topic: &Arc<str>,
    message: &BorrowedMessage<'_>,
    headers: Headers,
    key: Bytes,
    value: Bytes,
) -> LogRecord {
    LogRecord {
        source: SourceLane { topic: Arc::clone(topic), lane: lane(message.partition()) },
        offset: message.offset(),
        key,
        value,
        headers,
        time: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
    }
}

/// About how much memory a record takes, in bytes. Its parts share the headers' buffer.
pub(super) fn size(record: &LogRecord) -> usize {
    record.headers.memory() + size_of::<LogRecord>()
}
