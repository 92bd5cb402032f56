//! A record to a message.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    EVENT_TYPE_BYTES_MAX, HEADER_BYTES_MAX, HEADERS_MAX, OUR_SOURCE, headers_from_json, name,
    parse_number, parse_seq, structured,
};
use crate::{
    id::{
        EventId, FOREIGN_ID_BYTES_MAX, InvalidId, KEY_BYTES_MAX, LaneSeq, SagaId, SourceLane,
        check_text,
    },
    log::{Headers, LogRecord, headers::Known, partition::lane_of},
    runtime::Timestamp,
    store::{HeldMessage, InboxEntry},
    telemetry::{SpanContext, carried::Parts},
};

/// An event of another service, as a record brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The lane.
    pub source: SourceLane,
    /// The record's offset.
    pub offset: i64,
    /// The event's dense number in the lane, from 1. A foreign one has none: here stands that of the last
    /// numbered one before it, 0 when there is none.
    pub seq: LaneSeq,
    /// The event's id; a foreign one's is made from its source and its id there.
    pub id: EventId,
    /// Set for an event of a foreign producer: what it is known by (P4).
    pub foreign: Option<InboxEntry>,
    /// Its type name.
    pub event_type: Arc<str>,
    /// The saga.
    pub saga: SagaId,
    /// The business key.
    pub key: Arc<str>,
    /// When it was decided, by the clock of its service.
    pub time: Timestamp,
    /// The payload.
    pub payload: Bytes,
    /// The `traceparent`, when there is one that can be read, and what came with it: `tracestate` and
    /// `baggage`, a line each.
    pub trace: Option<Arc<str>>,
    /// All headers, for the case that the message is held back.
    pub headers: Headers,
}

impl Message {
    /// How the events that it causes name it: by its `ce_id`, as its producer wrote it.
    #[must_use]
    pub fn causation(&self) -> String {
        self.foreign.as_ref().map_or_else(|| self.id.to_string(), |own| own.id.to_string())
    }
}

/// A record that is no message of ours, and what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// What is wrong with it, for a person.
    pub reason: String,
    /// The event's id, when it is a UUID, or made from what a foreign producer calls it.
    pub id: Option<EventId>,
    /// What an event of a foreign producer is known by, when that can be read.
    pub foreign: Option<Box<InboxEntry>>,
    /// Its number in this lane. `None` as well when the record was numbered for another lane: moving
    /// a position to such a number would pass over the event that has it.
    pub seq: Option<LaneSeq>,
    /// The key, when it is one.
    pub key: Option<Arc<str>>,
    /// The event type, when it is one.
    pub event_type: Option<Arc<str>>,
    /// The saga, when it is a UUID.
    pub saga: Option<SagaId>,
}

/// Reads a record. `lanes`, the number of the topic's partitions, lets it check that the key lives in
/// the partition that brought it; `None` leaves that out.
///
/// Unknown headers are carried along. Of headers with one name, the last counts.
///
/// A record with neither lane nor number comes from a foreign producer (P4), in binary mode or in
/// structured mode as JSON. It needs `id`, `source`, `type` and a key: the record's, or `partitionkey`
/// where that is empty. Its partition is its producer's choice. Its time is the record's when it states
/// none. Its saga is `correlationid` when that is a UUID; else it is made from the source and the
/// `correlationid`, or the `id` where there is none: the same for each repetition.
///
/// # Errors
/// Says what is wrong, and what could be read all the same.
pub fn decode(record: &LogRecord, lanes: Option<u32>) -> Result<Message, Malformed> {
    match structured::to_binary(record) {
        None => decode_binary(record, lanes),
        Some(Ok(binary)) => decode_binary(&binary, lanes),
        Some(Err(reason)) => Err(Read::new(record).malformed(reason)),
    }
}

fn decode_binary(record: &LogRecord, lanes: Option<u32>) -> Result<Message, Malformed> {
    let read = Read::new(record);
    match read.check(lanes) {
        Ok(message) => Ok(message),
        Err(reason) => Err(read.malformed(reason)),
    }
}

/// Reads a message that was held back. Its key was checked against its lane when it came.
///
/// # Errors
/// As [`decode`]; also when the stored headers cannot be read.
pub fn decode_held(held: &HeldMessage) -> Result<Message, Malformed> {
    let headers = headers_from_json(&held.headers);
    let reason = headers.as_ref().err().map(|e| format!("the stored headers cannot be read: {e}"));
    let record = LogRecord {
        source: held.source.clone(),
        offset: held.offset,
        key: Bytes::copy_from_slice(held.key.as_bytes()),
        value: held.payload.clone(),
        headers: headers.unwrap_or_default(),
        time: held.held_at,
    };
    match reason {
        Some(reason) => Err(Read::new(&record).malformed(reason)),
        None => {
            let mut message = decode(&record, None)?;
            if message.foreign.is_some() {
                message.seq = held.seq;
            }
            Ok(message)
        }
    }
}

/// The names that are read.
mod known {
    use super::{Known, name};

    pub(super) const BAGGAGE: Known = Known::of(name::BAGGAGE);
    pub(super) const CORRELATION_ID: Known = Known::of(name::CORRELATION_ID);
    pub(super) const ID: Known = Known::of(name::ID);
    pub(super) const LANE: Known = Known::of(name::LANE);
    pub(super) const LANE_SEQ: Known = Known::of(name::LANE_SEQ);
    pub(super) const PARTITION_KEY: Known = Known::of(name::PARTITION_KEY);
    pub(super) const SOURCE: Known = Known::of(name::SOURCE);
    pub(super) const SPEC_VERSION: Known = Known::of(name::SPEC_VERSION);
    pub(super) const TIME: Known = Known::of(name::TIME);
    pub(super) const TRACE_PARENT: Known = Known::of(name::TRACE_PARENT);
    pub(super) const TRACE_STATE: Known = Known::of(name::TRACE_STATE);
    pub(super) const TYPE: Known = Known::of(name::TYPE);
}

struct Read<'a> {
    record: &'a LogRecord,
}

impl<'a> Read<'a> {
    fn new(record: &'a LogRecord) -> Self {
        Self { record }
    }

    fn check(&self, lanes: Option<u32>) -> Result<Message, String> {
        let record = self.record;
        self.check_limits()?;
        self.check_version()?;
        if self.is_foreign() {
            return self.foreign();
        }
        let seq = self.seq()?;
        self.text(known::SOURCE)?;
        let id = self.uuid(known::ID).map(EventId)?;
        let event_type = self.event_type()?;
        let saga = self.uuid(known::CORRELATION_ID).map(SagaId)?;
        let time = self.time()?;
        let key = self.key()?;
        self.check_lane()?;
        if let Some(lanes) = lanes.filter(|n| *n > 0) {
            let home = lane_of(&record.key, lanes);
            if home != record.source.lane {
                return Err(format!(
                    "wrong key: {key:?} belongs to lane {home} of {lanes}, but came in lane {}",
                    record.source.lane
                ));
            }
        }
        Ok(Message {
            source: record.source.clone(),
            offset: record.offset,
            seq,
            id,
            foreign: None,
            event_type: event_type.into(),
            saga,
            key: key.into(),
            time,
            payload: record.value.clone(),
            trace: self.trace(),
            headers: record.headers.clone(),
        })
    }

    /// An event of ours that has lost its number is not taken for another's: it would be applied twice.
    fn is_foreign(&self) -> bool {
        let ours = |source: &[u8]| source.starts_with(OUR_SOURCE.as_bytes());
        self.find(known::LANE_SEQ).is_none()
            && self.find(known::LANE).is_none()
            && !self.find(known::SOURCE).is_some_and(ours)
    }

    fn foreign(&self) -> Result<Message, String> {
        let record = self.record;
        let entry = self.inbox_entry()?;
        let event_type = self.event_type()?;
        let key = self.key()?;
        let time = match self.find(known::TIME) {
            Some(_) => self.time()?,
            None => record.time,
        };
        Ok(Message {
            source: record.source.clone(),
            offset: record.offset,
            seq: 0,
            id: EventId::foreign(&entry.source, &entry.id),
            event_type: event_type.into(),
            saga: self.foreign_saga(&entry),
            foreign: Some(entry),
            key: key.into(),
            time,
            payload: record.value.clone(),
            trace: self.trace(),
            headers: record.headers.clone(),
        })
    }

    fn inbox_entry(&self) -> Result<InboxEntry, String> {
        let part = |known: Known| {
            let text = self.text(known)?;
            check_text(text, FOREIGN_ID_BYTES_MAX).map_err(|e| bad(known.name(), &e))?;
            Ok::<Arc<str>, String>(text.into())
        };
        Ok(InboxEntry { source: part(known::SOURCE)?, id: part(known::ID)? })
    }

    fn foreign_saga(&self, entry: &InboxEntry) -> SagaId {
        match self.uuid(known::CORRELATION_ID) {
            Ok(saga) => SagaId(saga),
            Err(_) => {
                let text = self.text(known::CORRELATION_ID).unwrap_or(&entry.id);
                SagaId::foreign(&entry.source, text)
            }
        }
    }

    fn malformed(&self, reason: String) -> Malformed {
        if let Some(foreign) = Some(()).filter(|()| self.is_foreign()).and(self.inbox_entry().ok())
        {
            return Malformed {
                reason,
                id: Some(EventId::foreign(&foreign.source, &foreign.id)),
                seq: None,
                key: self.key().ok().map(Arc::from),
                event_type: self.event_type().ok().map(Arc::from),
                saga: Some(self.foreign_saga(&foreign)),
                foreign: Some(Box::new(foreign)),
            };
        }
        Malformed {
            reason,
            foreign: None,
            id: self.uuid(known::ID).ok().map(EventId),
            seq: self.seq().ok().filter(|_| self.check_lane().is_ok()),
            key: self.key().ok().map(Arc::from),
            event_type: self.event_type().ok().map(Arc::from),
            saga: self.uuid(known::CORRELATION_ID).ok().map(SagaId),
        }
    }

    fn check_limits(&self) -> Result<(), String> {
        let headers = &self.record.headers;
        if headers.len() > HEADERS_MAX {
            return Err(format!(
                "{} headers are more than the limit of {HEADERS_MAX}",
                headers.len()
            ));
        }
        let bytes = headers.bytes();
        if bytes > HEADER_BYTES_MAX {
            return Err(format!(
                "headers of {bytes} bytes are more than the limit of {HEADER_BYTES_MAX} bytes"
            ));
        }
        Ok(())
    }

    fn check_version(&self) -> Result<(), String> {
        let version = self.text(known::SPEC_VERSION);
        if let (Err(_), Some(why)) = (&version, self.record.headers.get(name::UNREADABLE)) {
            return Err(format!("its headers cannot be read: {}", why.escape_ascii()));
        }
        match version? {
            "1.0" => Ok(()),
            other => Err(format!("{} is {other:?}; only \"1.0\" is read", name::SPEC_VERSION)),
        }
    }

    fn seq(&self) -> Result<LaneSeq, String> {
        let Some(value) = self.find(known::LANE_SEQ) else {
            return Err(format!(
                "no header {}: an event of ours that has lost its number",
                name::LANE_SEQ
            ));
        };
        parse_seq(value)
            .ok_or_else(|| format!("{} is {}, no number from 1", name::LANE_SEQ, shown(value)))
    }

    fn check_lane(&self) -> Result<(), String> {
        let text = self.text(known::LANE)?;
        if parse_number(text.as_bytes()) == Some(u64::from(self.record.source.lane.0)) {
            return Ok(());
        }
        Err(format!("numbered for lane {text:?}, but came in lane {}", self.record.source.lane))
    }

    fn event_type(&self) -> Result<&'a str, String> {
        let text = self.text(known::TYPE)?;
        check_text(text, EVENT_TYPE_BYTES_MAX).map_err(|e| bad(name::TYPE, &e))?;
        Ok(text)
    }

    fn key(&self) -> Result<&'a str, String> {
        if self.record.key.is_empty() && self.is_foreign() {
            let text = self.text(known::PARTITION_KEY).map_err(|_| {
                format!(
                    "no key and no {}: an event belongs to the key of its saga",
                    name::PARTITION_KEY
                )
            })?;
            check_text(text, KEY_BYTES_MAX).map_err(|e| bad(name::PARTITION_KEY, &e))?;
            return Ok(text);
        }
        let text = std::str::from_utf8(&self.record.key)
            .map_err(|_| format!("the key {} is no UTF-8", shown(&self.record.key)))?;
        check_text(text, KEY_BYTES_MAX).map_err(|e| bad("the key", &e))?;
        Ok(text)
    }

    fn time(&self) -> Result<Timestamp, String> {
        let text = self.text(known::TIME)?;
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Timestamp(time.timestamp_micros()))
            .map_err(|e| {
                format!("{} is {}, no RFC 3339 time: {e}", name::TIME, shown(text.as_bytes()))
            })
    }

    fn uuid(&self, known: Known) -> Result<uuid::Uuid, String> {
        let text = self.text(known)?;
        let name = known.name();
        uuid::Uuid::try_parse(text)
            .map_err(|_| format!("{name} is {}, no UUID", shown(text.as_bytes())))
    }

    /// A trace that cannot be read is no reason to refuse an event.
    fn trace(&self) -> Option<Arc<str>> {
        let parent = self.text(known::TRACE_PARENT).ok()?;
        SpanContext::parse(parent)?;
        let (state, baggage) = (self.text(known::TRACE_STATE).ok(), self.text(known::BAGGAGE).ok());
        Some(Parts { parent, state, baggage }.join())
    }

    fn text(&self, known: Known) -> Result<&'a str, String> {
        let name = known.name();
        let value = self.find(known).ok_or_else(|| format!("no header {name}"))?;
        std::str::from_utf8(value).map_err(|_| format!("{name} is {}, no UTF-8", shown(value)))
    }

    fn find(&self, known: Known) -> Option<&'a [u8]> {
        self.record.headers.known(known)
    }
}

fn bad(what: &str, error: &InvalidId) -> String {
    format!("{what}: {error}")
}

/// The start of a value that someone else chose, fit for a line of text.
fn shown(value: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 64;
    let start = &value[..value.len().min(SHOWN_BYTES_MAX)];
    let dots = if start.len() < value.len() { "…" } else { "" };
    format!("\"{}{dots}\"", start.escape_ascii())
}
