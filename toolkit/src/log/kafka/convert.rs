//! Our records as librdkafka's, and back.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

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
    // rdkafka 0.39 panics over a header's name that is no UTF-8, and anyone can write one.
    let read = catch_unwind(AssertUnwindSafe(|| {
        wanted.and_then(|wanted| unwanted(message, wanted)).unwrap_or_else(|| whole(message))
    }));
    let Parts { key, value, headers } = read.unwrap_or_else(|_| without_headers(message));
    LogRecord {
        source: SourceLane { topic: Arc::clone(topic), lane: lane(message.partition()) },
        offset: message.offset(),
        key,
        value,
        headers,
        time: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
    }
}

/// What a record consists of.
struct Parts {
    key: Bytes,
    value: Bytes,
    headers: Headers,
}

fn whole(message: &BorrowedMessage<'_>) -> Parts {
    let theirs = message.headers();
    built(message, theirs.map_or(0, |theirs| theirs.count()), |parts| {
        for header in theirs.into_iter().flat_map(BorrowedHeaders::iter) {
            parts.put(header.key, header.value.unwrap_or_default());
        }
    })
}

/// Says that it had headers, for whoever decodes it.
fn without_headers(message: &BorrowedMessage<'_>) -> Parts {
    built(message, 1, |parts| parts.put(name::UNREADABLE, b"a name is no UTF-8"))
}

fn built(
    message: &BorrowedMessage<'_>,
    count: usize,
    headers: impl FnOnce(&mut HeadersBuilder),
) -> Parts {
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    let mut parts = HeadersBuilder::with_capacity(key.len() + value.len() + HEADER_BYTES, count);
    let (key, value) = (parts.part(key), parts.part(value));
    headers(&mut parts);
    let (bytes, headers) = parts.finish();
    Parts { key: bytes.slice(key.range()), value: bytes.slice(value.range()), headers }
}

/// Of a record as we write them, in which every header has its place and comes once, and whose type is not
/// wanted: the few headers that number it.
fn unwanted(message: &BorrowedMessage<'_>, wanted: &BTreeSet<Box<str>>) -> Option<Parts> {
    let theirs = message.headers().filter(|theirs| theirs.count() <= Known::COUNT)?;
    let mut parts = HeadersBuilder::with_capacity(GLANCED_BYTES, GLANCED.len());
    for known in GLANCED {
        let header = theirs.try_get(known.place()).filter(|it| it.key == known.name())?;
        let value = header.value?;
        if header.key == name::TYPE && wanted.contains(std::str::from_utf8(value).ok()?) {
            return None;
        }
        parts.put(header.key, value);
    }
    let (_, headers) = parts.finish();
    Some(Parts { key: Bytes::new(), value: Bytes::new(), headers })
}

/// About how much memory a record takes, in bytes. Its parts share the headers' buffer.
pub(super) fn size(record: &LogRecord) -> usize {
    record.headers.memory() + size_of::<LogRecord>()
}
