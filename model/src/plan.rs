//! Where a lane's publishing goes on (P6, P8), written a second time from the design, without a look at the
//! engine's own. `tests/against_the_engine.rs` holds the two against each other.

use crate::{log::Tail, store::Floor, variant::Variant};

/// What the relay does with a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Publish what the store has beyond this number.
    After(u8),
    /// A transaction is open: ask again.
    Wait,
    /// Log and store contradict each other.
    Halt(Contradiction),
}

/// Why a relay has halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contradiction {
    /// The log has a number that the store does not have.
    LogAhead,
    /// The same number is another event in the store.
    OtherEvent,
    /// Retention took records, and no floor says which.
    NoFloor,
}

/// All that a judgement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The end of the partition.
    pub tail: Tail,
    /// The last number in the store.
    pub head: u8,
    /// The event that the store has under the tail's number.
    pub stored: Option<u8>,
    /// The floor row.
    pub floor: Option<Floor>,
}

/// Judges one lane, as the protocol has it or as a broken variant has it.
#[must_use]
pub fn judge(evidence: &Evidence, variant: Option<Variant>) -> Verdict {
    let Evidence { tail, head, stored, floor } = *evidence;
    if !tail.stable {
        return Verdict::Wait;
    }
    if variant == Some(Variant::FloorInsteadOfTail) {
        return Verdict::After(floor.map_or(0, |floor| floor.seq));
    }
    let Some((seq, id)) = tail.last else {
        return judge_empty(&tail, head, floor, variant);
    };
    if seq > head {
        return Verdict::Halt(Contradiction::LogAhead);
    }
    if stored != Some(id) && variant != Some(Variant::NumbersWithoutIdentity) {
        return Verdict::Halt(Contradiction::OtherEvent);
    }
    Verdict::After(seq)
}

/// No record of ours is in the partition.
fn judge_empty(tail: &Tail, head: u8, floor: Option<Floor>, variant: Option<Variant>) -> Verdict {
    let any_topic = variant == Some(Variant::FloorOfAnotherTopic);
    if floor.is_some_and(|floor| floor.topic != tail.topic) && !any_topic {
        return Verdict::After(0);
    }
    if floor.is_some_and(|floor| floor.seq > head) {
        return Verdict::Halt(Contradiction::LogAhead);
    }
    match floor {
        Some(floor) if any_topic => Verdict::After(floor.seq),
        // All that it ever held is there to see, and nothing is ours.
        _ if tail.start == 0 => Verdict::After(0),
        Some(floor) if counts_what_is_gone(&floor, tail, variant) => Verdict::After(floor.seq),
        _ => Verdict::Halt(Contradiction::NoFloor),
    }
}

/// All that was removed lies before the floor, and what lies behind it is there to see, and none of it ours.
fn counts_what_is_gone(floor: &Floor, tail: &Tail, variant: Option<Variant>) -> bool {
    match variant {
        Some(Variant::FloorThatLags) => true,
        Some(Variant::FloorMustBeTheEnd) => floor.end == tail.end,
        _ => (tail.start..=tail.end).contains(&floor.end),
    }
}
