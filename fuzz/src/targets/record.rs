//! A record of the log: lines `name: value` are headers, then an empty line, the key on a line, and the payload.

use std::borrow::Cow;

use bytes::Bytes;
use quadrille::{
    id::{SourceLane, StreamId},
    log::{
        Header, LogRecord, NewRecord,
        partition::lane_of,
        record::{Message, ServiceIdentity, decode, decode_held, encode, headers_to_json},
    },
    runtime::Timestamp,
    store::{HeldMessage, HeldState, Published, RecordedEvent},
};

use super::{Target, ensure, head_and_body, mark};

/// Partitions of the topic.
const LANES: u32 = 6;

pub(super) struct RecordTarget;

impl Target for RecordTarget {
    fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String> {
        let record = record(input);
        match decode(&record, Some(LANES)) {
            Ok(message) => accepted(&record, &message),
            Err(refusal) => {
                ensure(!refusal.reason.is_empty(), || "refused without a reason".to_owned())?;
                ensure(refusal.seq != Some(0), || "numbers begin at 1".to_owned())?;
                Ok(vec![mark(&refusal.reason)])
            }
        }
    }
}

fn record(input: &[u8]) -> LogRecord {
    let (head, rest) = head_and_body(input);
    let headers: Vec<Header> = head.split(|byte| *byte == b'\n').filter_map(header).collect();
    let at = rest.iter().position(|byte| *byte == b'\n');
    let (key, value) = at.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + 1..]));
    LogRecord {
        source: SourceLane::new("shop.payment.events", lane_of(key, LANES)),
        offset: 5,
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
        headers: headers.into(),
        time: Timestamp(0),
    }
}

fn header(line: &[u8]) -> Option<Header> {
    let at = line.windows(2).position(|pair| pair == b": ")?;
    let name = std::str::from_utf8(&line[..at]).ok()?.to_owned();
    Some(Header { name: Cow::Owned(name), value: Bytes::copy_from_slice(&line[at + 2..]) })
}

/// What is read must come back when it is written again, and when it is held back meanwhile. One of a foreign
/// producer has no number, and is never written by us.
fn accepted(record: &LogRecord, message: &Message) -> Result<Vec<u64>, String> {
    let marks = vec![
        mark(&message.event_type),
        u64::from(message.trace.is_some()),
        u64::from(message.foreign.is_some()),
    ];
    let kept = decode_held(&held(record, message)).map_err(|e| format!("held back: {e}"))?;
    same(message, &kept)?;
    if message.foreign.is_some() {
        return Ok(marks);
    }
    let again = written_again(message).ok_or("a message that cannot be written")?;
    let again = LogRecord {
        source: record.source.clone(),
        offset: record.offset,
        key: again.key,
        value: again.value,
        headers: again.headers,
        time: record.time,
    };
    let twice = decode(&again, Some(LANES)).map_err(|e| format!("written again: {e}"))?;
    same(message, &twice)?;
    Ok(marks)
}

/// All but the headers, whose order need not be kept.
fn same(one: &Message, other: &Message) -> Result<(), String> {
    let one = Message { headers: other.headers.clone(), ..one.clone() };
    ensure(one == *other, || format!("not the same: {one:?} and {other:?}"))
}

fn written_again(message: &Message) -> Option<NewRecord> {
    let event = RecordedEvent {
        id: message.id,
        stream: StreamId::from_stored("payment/1"),
        version: 1,
        event_type: message.event_type.to_string().into(),
        payload: message.payload.clone(),
        saga: message.saga,
        causation: "cause".to_owned(),
        time: message.time,
        trace: message.trace.clone(),
        published: Some(Published {
            lane: message.source.lane,
            lane_seq: message.seq,
            key: message.key.clone(),
        }),
    };
    encode(&ServiceIdentity::new("payment"), &event)
}

fn held(record: &LogRecord, message: &Message) -> HeldMessage {
    HeldMessage {
        source: record.source.clone(),
        id: message.id.to_string(),
        key: message.key.clone(),
        seq: message.seq,
        offset: record.offset,
        event_type: message.event_type.to_string(),
        saga: Some(message.saga.to_string()),
        headers: headers_to_json(&record.headers),
        payload: record.value.clone(),
        state: HeldState::Parked,
        attempts: 1,
        held_at: Timestamp(0),
        next_at: Timestamp(0),
        reason: "later".to_owned(),
    }
}
