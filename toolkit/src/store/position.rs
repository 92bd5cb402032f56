//! How far a service has read another's lanes.

use serde::{Deserialize, Serialize};

use super::HeldHead;
use crate::id::{EventId, LaneSeq, SourceLane};

/// Where a new consumer starts; said once and stored (P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StartAt {
    /// At number 1: whatever is missing is a loss.
    #[default]
    First,
    /// At what the topic still holds: older events have expired; the gap is recorded, not guessed.
    Retained,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl StartAt {
    /// Its name in the tables of every store.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retained => "retained",
        }
    }

    /// Reads a name back. The tables allow no other names.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "retained" => Self::Retained,
            _ => Self::First,
        }
    }
}

/// How far a source lane was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last number that was applied; 0 before the first.
    pub last_seq: LaneSeq,
    /// The id of the event with that number: it shows a log that is not the one we read (P8).
    pub last_id: Option<EventId>,
    /// The Kafka offset to seek to. A hint: it may be wrong, the number never is.
    pub next_offset: i64,
    /// Where this consumer started.
    pub start: StartAt,
}

/// A compare-and-set of one position (P2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionMove {
    /// The lane.
    pub source: SourceLane,
    /// The owner's epoch: it must be the row's.
    pub epoch: u64,
    /// The number that must be stored now.
    pub from: LaneSeq,
    /// The number to store.
    pub to: LaneSeq,
    /// The event id at `to`. A guard leaves the stored one as it is.
    pub last_id: Option<EventId>,
    /// The offset to seek to next time.
    pub next_offset: i64,
}

/// Takes lanes over.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The lanes.
    pub lanes: Vec<SourceLane>,
    /// The types that this instance consumes, sorted. Stored with the positions; an instance that
    /// consumes less is refused the lane (P12).
    pub consumes: Vec<String>,
    /// Where to start lanes that have no position yet.
    pub start: StartAt,
    /// How many heads of held keys to read, at most, per lane.
    pub held_max: usize,
}

/// What became of one lane of a [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours until a higher epoch is met.
    Owned {
        /// The owner's epoch, higher than every earlier one of the lane.
        epoch: u64,
        /// Where to go on.
        position: Position,
        /// The keys that are held, by their first message.
        held: Vec<HeldHead>,
    },
    /// Another version of this service consumes these types too, and this one does not (P12).
    Refused {
        /// The types.
        missing: Vec<String>,
    },
}
