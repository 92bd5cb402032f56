//! An event as a record of the log and back: CloudEvents 1.0.2, Kafka binding.
//!
//! We write binary mode, and read structured mode from foreign producers too. The record's value is the payload, byte for byte; its key is the business key; all else is in
//! headers. The same event always gives the same bytes.

mod base64;
mod decode;
mod encode;
mod glance;
mod header_json;
mod structured;

pub use decode::{Malformed, Message, decode, decode_held};
pub use encode::{ServiceIdentity, encode};
pub use glance::{Glance, glance};
pub use header_json::{headers_from_json, headers_to_json};

#[cfg(feature = "kafka")]
pub(crate) use glance::GLANCED;

#[cfg(feature = "webhook")]
pub(crate) use base64::decode as base64_bytes;
pub(crate) use base64::encode as base64_text;

use super::Headers;
use crate::id::LaneSeq;

/// The most headers that a record may have.
pub const HEADERS_MAX: usize = 64;
/// The most bytes that a record's headers may have, names and values together.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// The longest event type, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// What the `ce_source` of every service of ours begins with.
const OUR_SOURCE: &str = "/quadrille/";

/// The names of the headers.
pub mod name {
    /// The version of CloudEvents: `1.0`.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// The event's id, a UUIDv7.
    pub const ID: &str = "ce_id";
    /// Who states the event: `/quadrille/<service>`.
    pub const SOURCE: &str = "ce_source";
    /// The event type.
    pub const TYPE: &str = "ce_type";
    /// When it was decided, RFC 3339.
    pub const TIME: &str = "ce_time";
    /// What it is about: the business key.
    pub const SUBJECT: &str = "ce_subject";
    /// The payload's JSON Schema, a URI reference: `/schemas/<TYPE>.json`.
    pub const DATA_SCHEMA: &str = "ce_dataschema";
    /// The payload's media type. CloudEvents gives it no `ce_` prefix.
    pub const CONTENT_TYPE: &str = "content-type";
    /// The saga's id.
    pub const CORRELATION_ID: &str = "ce_correlationid";
    /// The id of the event or command that caused it.
    pub const CAUSATION_ID: &str = "ce_causationid";
    /// The lane number, padded with zeros: its order as text is its order as a number.
    pub const SEQUENCE: &str = "ce_sequence";
    /// The key that chose the partition: the business key.
    pub const PARTITION_KEY: &str = "ce_partitionkey";
    /// Our lane: the partition for which the event was numbered.
    pub const LANE: &str = "ce_lane";
    /// Our dense number in the lane, from 1.
    pub const LANE_SEQ: &str = "ce_laneseq";
    /// The event's version in its stream, from 1.
    pub const STREAM_VERSION: &str = "ce_streamversion";
    /// W3C trace context.
    pub const TRACE_PARENT: &str = "traceparent";
    /// W3C trace context, what vendors add to it.
    pub const TRACE_STATE: &str = "tracestate";
    /// W3C baggage.
    pub const BAGGAGE: &str = "baggage";
    /// Stands for headers that a log could not read, and says why. No producer writes it.
    pub(crate) const UNREADABLE: &str = "quadrille-unreadable";
}

/// A header's value; the last one when there are several of the name.
#[must_use]
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers.get(name)
}

/// The lane number in a record's headers, when there is one that can be read.
#[must_use]
pub fn lane_seq(headers: &Headers) -> Option<LaneSeq> {
    header(headers, name::LANE_SEQ).and_then(parse_seq)
}

/// Numbers in a lane begin at 1.
fn parse_seq(text: &[u8]) -> Option<LaneSeq> {
    parse_number(text).filter(|seq| *seq > 0)
}

/// A plain decimal number that also fits a signed column of a database: no sign, no blanks.
fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests;
