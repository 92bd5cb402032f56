//! Where a lane's publishing goes on: the tail, the store and the floor, judged (P6, P8). Pure.

use crate::{
    id::{EventId, Lane, LaneSeq},
    mutant::{Mutant, broken},
    store::Floor,
};

/// What the log says about the end of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last record of ours: its number and its id.
    pub(crate) last: Option<(LaneSeq, EventId)>,
    /// The first offset that retention has left; 0 when nothing was ever removed from the partition.
    pub(crate) start_offset: i64,
    /// The offset after the last record or mark.
    pub(crate) end_offset: i64,
    /// No transaction is open.
    pub(crate) stable: bool,
    /// Which topic it is.
    pub(crate) topic_id: String,
    /// Everything that the partition holds was looked through.
    pub(crate) searched_all: bool,
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Publish what the store has beyond this number.
    After(LaneSeq),
    /// Not now: ask again.
    Wait(String),
    /// Log and store contradict each other; a person decides.
    Halt(String),
}

/// Judges one lane. `stored` is the id that the store has under the tail's number.
pub(crate) fn judge(
    lane: Lane,
    head: LaneSeq,
    tail: &Tail,
    stored: Option<EventId>,
    floor: Option<&Floor>,
) -> Start {
    if !tail.stable && !broken(Mutant::UnstableTail) {
        return Start::Wait(format!("{lane:?}: a transaction is still open at the log's end"));
    }
    match tail.last {
        Some((seq, _)) if seq > head && broken(Mutant::LogAheadAccepted) => Start::After(head),
        Some((seq, id)) if seq > head => Start::Halt(format!(
            "{lane:?}: the log has number {seq} ({id}), the store ends at {head}: the store has lost committed events \
             (a fail-over, a restored backup?); restore it, or take the missing events back from the log"
        )),
        Some((seq, id)) if stored != Some(id) && !broken(Mutant::TailIdUnchecked) => {
            Start::Halt(format!(
                "{lane:?}: number {seq} is {id} in the log and {} in the store: the store has lost committed events and \
             gone on without them; restore it, or take the missing events back from the log",
                stored.map_or("unknown".to_owned(), |id| id.to_string())
            ))
        }
        Some((seq, _)) => Start::After(seq),
        None if !tail.searched_all => Start::Halt(format!(
            "{lane:?}: none of the last records is ours: other producers fill the topic of this service"
        )),
        None => judge_empty(lane, head, tail, floor),
    }
}

/// A partition that holds nothing of ours: the floor says what was removed from it.
fn judge_empty(lane: Lane, head: LaneSeq, tail: &Tail, floor: Option<&Floor>) -> Start {
    match floor {
        Some(floor) if floor.topic_id != tail.topic_id && !broken(Mutant::FloorOfAnotherTopic) => {
            Start::After(0)
        }
        Some(floor) if floor.lane_seq > head => Start::Halt(format!(
            "{lane:?}: number {} was published, the store ends at {head}: the store has lost committed events",
            floor.lane_seq
        )),
        // All that it ever held was looked through.
        _ if tail.start_offset == 0 => Start::After(0),
        // What was removed lies before the floor; what lies behind it was looked through, aborted
        // transactions mostly. (To ask for the floor at the very end would halt after each of those.)
        Some(floor) if (tail.start_offset..=tail.end_offset).contains(&floor.end_offset) => {
            Start::After(if broken(Mutant::FloorIgnored) { 0 } else { floor.lane_seq })
        }
        Some(floor) => Start::Halt(format!(
            "{lane:?}: retention has emptied the partition up to offset {}, and it has grown since its floor was \
             written at {}: nobody knows how far it was published; raise the topic's retention, and set the floor by hand",
            tail.start_offset, floor.end_offset
        )),
        // Also with an empty store: it may be one that has lost everything.
        None => Start::Halt(format!(
            "{lane:?}: retention has emptied the partition before a floor was written: nobody knows how far it was \
             published; raise the topic's retention, and set the floor by hand"
        )),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> EventId {
        EventId(Uuid::from_u128(n))
    }

    fn tail(last: Option<(LaneSeq, EventId)>) -> Tail {
        Tail {
            last,
            start_offset: 0,
            end_offset: 7,
            stable: true,
            topic_id: "t".into(),
            searched_all: true,
        }
    }

    fn floor(lane_seq: LaneSeq, end_offset: i64, topic_id: &str) -> Floor {
        Floor { lane: Lane(0), lane_seq, end_offset, topic_id: topic_id.into() }
    }

    #[test]
    fn p06_the_position_is_the_tail() {
        assert_eq!(judge(Lane(0), 9, &tail(Some((4, id(4)))), Some(id(4)), None), Start::After(4));
        assert_eq!(judge(Lane(0), 9, &tail(None), None, None), Start::After(0));
    }

    #[test]
    fn p06_an_open_transaction_is_waited_for() {
        let open = Tail { stable: false, ..tail(Some((4, id(4)))) };
        assert!(matches!(judge(Lane(0), 9, &open, Some(id(4)), None), Start::Wait(_)));
    }

    #[test]
    fn p06_an_emptied_partition_starts_at_its_floor() {
        let emptied = Tail { start_offset: 7, ..tail(None) };
        assert_eq!(judge(Lane(0), 9, &emptied, None, Some(&floor(6, 7, "t"))), Start::After(6));
    }

    #[test]
    fn p06_aborted_records_behind_the_floor_do_not_matter() {
        let grown = Tail { start_offset: 5, end_offset: 7, ..tail(None) };
        assert_eq!(judge(Lane(0), 9, &grown, None, Some(&floor(6, 5, "t"))), Start::After(6));
        assert_eq!(judge(Lane(0), 9, &grown, None, Some(&floor(6, 6, "t"))), Start::After(6));
    }

    #[test]
    fn p06_a_floor_says_nothing_of_a_partition_that_retention_has_not_touched() {
        let floor = floor(6, 7, "t");
        assert_eq!(judge(Lane(0), 9, &tail(None), None, Some(&floor)), Start::After(0));
        assert!(matches!(judge(Lane(0), 5, &tail(None), None, Some(&floor)), Start::Halt(_)));
    }

    #[test]
    fn p06_a_new_topic_gets_everything_again() {
        let emptied = Tail { start_offset: 7, ..tail(None) };
        let old = floor(6, 7, "old");
        assert_eq!(judge(Lane(0), 9, &tail(None), None, Some(&old)), Start::After(0));
        assert_eq!(judge(Lane(0), 9, &emptied, None, Some(&old)), Start::After(0));
    }

    #[test]
    fn p06_records_removed_behind_the_floor_halt() {
        let emptied = Tail { start_offset: 7, ..tail(None) };
        let halts = |head, floor: Option<&Floor>| {
            matches!(judge(Lane(0), head, &emptied, None, floor), Start::Halt(_))
        };
        assert!(halts(9, Some(&floor(6, 5, "t"))), "it lags");
        assert!(halts(9, Some(&floor(6, 8, "t"))), "the log has lost its end");
        assert!(halts(9, None) && halts(0, None), "there is none");
    }

    #[test]
    fn p08_a_log_that_the_store_does_not_know_halts() {
        assert!(matches!(judge(Lane(0), 3, &tail(Some((4, id(4)))), None, None), Start::Halt(_)));
    }

    #[test]
    fn p08_the_same_number_with_another_id_halts() {
        // e1 was published; the store failed over without it, and went on to e2 (number 1 again) and e3.
        assert!(matches!(
            judge(Lane(0), 2, &tail(Some((1, id(1)))), Some(id(2)), None),
            Start::Halt(_)
        ));
    }
}
