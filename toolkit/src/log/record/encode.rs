//! An event to a record.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use bytes::Bytes;

use super::{Header, OUR_SOURCE, header, lane_seq, name};
use crate::{
    id::{EventId, LaneSeq},
    log::{LogRecord, NewRecord},
    store::RecordedEvent,
    telemetry::carried::Parts,
};

/// Who states the events: gives `ce_source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    source: Bytes,
}

impl ServiceIdentity {
    /// The identity of a service by its name: `/quadrille/<service>`, whatever namespace its topic is
    /// in. Together with `ce_id` it identifies an event wherever it is copied to.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self { source: Bytes::from(format!("{OUR_SOURCE}{service}")) }
    }

    /// The lane number and the id of a record that this service published; `None` for any other.
    #[must_use]
    pub fn ours(&self, record: &LogRecord) -> Option<(LaneSeq, EventId)> {
        let ours = header(&record.headers, name::SOURCE)? == &self.source[..];
        let id = std::str::from_utf8(header(&record.headers, name::ID)?).ok()?.parse().ok()?;
        let seq = lane_seq(&record.headers)?;
        ours.then_some((seq, id))
    }

    /// The value of `ce_source`.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }
}

/// The record of a public event; `None` for a private one.
///
/// All formatted values share one buffer, and the payload is not copied.
#[must_use]
pub fn encode(service: &ServiceIdentity, event: &RecordedEvent) -> Option<NewRecord> {
    let published = event.published.as_ref()?;
    let mut text = Text::with_capacity(
        256 + 2 * event.event_type.len()
            + published.key.len()
            + event.causation.len()
            + event.trace.as_deref().map_or(0, str::len),
    );
    let id = text.put(event.id);
    let event_type = text.put(&event.event_type);
    let time = text.put(event.time);
    let key = text.put(&published.key);
    let schema = text.put(format_args!("/schemas/{}.json", event.event_type));
    let saga = text.put(event.saga);
    let causation = text.put(&event.causation);
    // 20 digits hold every u64.
    let sequence = text.put(format_args!("{:020}", published.lane_seq));
    let lane = text.put(published.lane);
    let lane_seq = text.put(published.lane_seq);
    let version = text.put(event.version);
    let trace = event.trace.as_deref().map(Parts::of).unwrap_or_default();
    let trace = [
        (name::TRACE_PARENT, Some(trace.parent).filter(|parent| !parent.is_empty())),
        (name::TRACE_STATE, trace.state),
        (name::BAGGAGE, trace.baggage),
    ]
    .map(|(name, value)| (name, value.map(|value| text.put(value))));

    let text = Bytes::from(text.0);
    let key = text.slice(key);
    let mut headers = Vec::with_capacity(18);
    let mut add = |name: &'static str, value: Bytes| {
        headers.push(Header { name: Cow::Borrowed(name), value });
    };
    add(name::SPEC_VERSION, Bytes::from_static(b"1.0"));
    add(name::ID, text.slice(id));
    add(name::SOURCE, service.source.clone());
    add(name::TYPE, text.slice(event_type));
    add(name::TIME, text.slice(time));
    add(name::SUBJECT, key.clone());
    add(name::DATA_SCHEMA, text.slice(schema));
    add(name::CONTENT_TYPE, Bytes::from_static(b"application/json"));
    add(name::CORRELATION_ID, text.slice(saga));
    add(name::CAUSATION_ID, text.slice(causation));
    add(name::SEQUENCE, text.slice(sequence));
    add(name::PARTITION_KEY, key.clone());
    add(name::LANE, text.slice(lane));
    add(name::LANE_SEQ, text.slice(lane_seq));
    add(name::STREAM_VERSION, text.slice(version));
    for (name, value) in trace {
        if let Some(value) = value {
            add(name, text.slice(value));
        }
    }
    Some(NewRecord {
        lane: published.lane,
        key,
        value: event.payload.clone(),
        headers,
        time: event.time,
    })
}

/// One buffer for all values that have to be written out.
struct Text(String);

impl Text {
    fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    fn put(&mut self, value: impl std::fmt::Display) -> Range<usize> {
        let start = self.0.len();
        // Writing to a String fails only if `value` itself fails to format, and none of ours does.
        let _ = write!(self.0, "{value}");
        start..self.0.len()
    }
}
