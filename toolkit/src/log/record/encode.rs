//! An event to a record.

use bytes::Bytes;

use super::{OUR_SOURCE, header, lane_seq, name};
use crate::{
    id::{EventId, LaneSeq},
    log::{HeadersBuilder, LogRecord, NewRecord},
    store::RecordedEvent,
    telemetry::carried::Parts,
};

/// What ids, time, numbers and constant values take together, in bytes; what takes more moves once.
const TEXT_BYTES: usize = 256;
/// What a traced event has.
const HEADERS: usize = 18;

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
/// Key and headers share one buffer, and the payload is not copied.
#[must_use]
pub fn encode(service: &ServiceIdentity, event: &RecordedEvent) -> Option<NewRecord> {
    let published = event.published.as_ref()?;
    let mut headers = HeadersBuilder::with_capacity(
        TEXT_BYTES
            + 2 * event.event_type.len()
            + service.source.len()
            + published.key.len()
            + event.causation.len()
            + event.trace.as_deref().map_or(0, str::len),
        HEADERS,
    );
    let key = headers.part(published.key.as_bytes());
    headers.put(name::SPEC_VERSION, b"1.0");
    headers.write(name::ID, format_args!("{}", event.id));
    headers.put(name::SOURCE, &service.source);
    headers.put(name::TYPE, event.event_type.as_bytes());
    headers.write(name::TIME, format_args!("{}", event.time));
    headers.put_placed(name::SUBJECT, key);
    headers.write(name::DATA_SCHEMA, format_args!("/schemas/{}.json", event.event_type));
    headers.put(name::CONTENT_TYPE, b"application/json");
    headers.write(name::CORRELATION_ID, format_args!("{}", event.saga));
    headers.put(name::CAUSATION_ID, event.causation.as_bytes());
    // 20 digits hold every u64.
    headers.write(name::SEQUENCE, format_args!("{:020}", published.lane_seq));
    headers.put_placed(name::PARTITION_KEY, key);
    headers.write(name::LANE, format_args!("{}", published.lane));
    headers.write(name::LANE_SEQ, format_args!("{}", published.lane_seq));
    headers.write(name::STREAM_VERSION, format_args!("{}", event.version));
    let trace = event.trace.as_deref().map(Parts::of).unwrap_or_default();
    let trace = [
        (name::TRACE_PARENT, Some(trace.parent).filter(|parent| !parent.is_empty())),
        (name::TRACE_STATE, trace.state),
        (name::BAGGAGE, trace.baggage),
    ];
    for (name, value) in trace {
        if let Some(value) = value {
            headers.put(name, value.as_bytes());
        }
    }
    let (bytes, headers) = headers.finish();
    Some(NewRecord {
        lane: published.lane,
        key: bytes.slice(key.range()),
        value: event.payload.clone(),
        headers,
        time: event.time,
    })
}
