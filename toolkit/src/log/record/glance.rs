//! What tells a record's place in its lane, and whether anyone wants it, before it is read in full.

use super::{name, parse_number, parse_seq};
use crate::{
    id::{EventId, LaneSeq},
    log::{LogRecord, headers::Known},
};

/// The headers that [`glance`] looks at; the type first, for it decides.
#[cfg(feature = "kafka")]
pub(crate) const GLANCED: [Known; 4] = [TYPE, ID, LANE, LANE_SEQ];

const ID: Known = Known::of(name::ID);
const TYPE: Known = Known::of(name::TYPE);
const LANE: Known = Known::of(name::LANE);
const LANE_SEQ: Known = Known::of(name::LANE_SEQ);

/// An event of ours, seen from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance<'a> {
    /// Its number in its lane.
    pub seq: LaneSeq,
    /// Its id.
    pub id: EventId,
    /// Its type, unchecked.
    pub event_type: &'a str,
}

/// Looks at a record. `None` where one of these is missing or wrong, or it was numbered for another lane:
/// [`decode`](super::decode) then says what it is.
///
/// Nothing else of it is looked at. That is enough for a type that nobody here consumes, which is the
/// greater part of what a choreography's topics bring.
#[must_use]
pub fn glance(record: &LogRecord) -> Option<Glance<'_>> {
    let headers = &record.headers;
    let event_type = std::str::from_utf8(headers.known(TYPE)?).ok()?;
    let seq = parse_seq(headers.known(LANE_SEQ)?)?;
    let lane = parse_number(headers.known(LANE)?)?;
    let id = uuid::Uuid::try_parse_ascii(headers.known(ID)?).ok()?;
    (lane == u64::from(record.source.lane.0)).then_some(Glance { seq, id: EventId(id), event_type })
}
