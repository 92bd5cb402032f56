//! Where a lane's publishing goes on: the tail, the store and the floor, judged (P6, P8). Pure.

use crate::{
    id::{EventId, Lane, LaneSeq},
    store::Floor,
};

/// What the log says about the end of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last record of ours: its number and its id.
    pub(crate) last: Option<(LaneSeq, EventId)>,
    /// Nothing was ever removed from the partition.
    pub(crate) untouched: bool,
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
    if !tail.stable {
        return Start::Wait(format!("{lane:?}: a transaction is still open at the log's end"));
    }
    match tail.last {
        Some((seq, id)) if seq > head => Start::Halt(format!(
            "{lane:?}: the log has number {seq} ({id}), the store ends at {head}: the store has lost committed events \
             (a fail-over, a restored backup?); restore it, or take the missing events back from the log"
        )),
        Some((seq, id)) if stored != Some(id) => Start::Halt(format!(
            "{lane:?}: number {seq} is {id} in the log and {} in the store: the store has lost committed events and \
             gone on without them; restore it, or take the missing events back from the log",
            stored.map_or("unknown".to_owned(), |id| id.to_string())
        )),
        Some((seq, _)) => Start::After(seq),
        None if !tail.searched_all => Start::Halt(format!(
            "{lane:?}: none of the last records is ours: other producers fill the topic of this service"
        )),
        None => judge_empty(lane, head, tail, floor),
    }
}

/// A partition that holds nothing of ours.
fn judge_empty(lane: Lane, head: LaneSeq, tail: &Tail, floor: Option<&Floor>) -> Start {
    match floor {
        Some(floor) if floor.topic_id != tail.topic_id => Start::After(0),
        Some(floor) if floor.lane_seq > head => Start::Halt(format!(
            "{lane:?}: number {} was published, the store ends at {head}: the store has lost committed events",
            floor.lane_seq
        )),
        // Retention has removed nothing: what the floor tells of was lost, and the end may have come back to
        // its offset since.
        _ if tail.untouched => Start::After(0),
        Some(floor) if floor.end_offset == tail.end_offset => Start::After(floor.lane_seq),
        Some(floor) => Start::Halt(format!(
            "{lane:?}: retention has emptied the partition, and it has grown to offset {} since its floor was written at \
             {}: nobody knows how far it was published; raise the topic's retention, and set the floor by hand",
            tail.end_offset, floor.end_offset
        )),
        None if head == 0 => Start::After(0),
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
            untouched: true,
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
        let emptied = Tail { untouched: false, ..tail(None) };
        assert_eq!(judge(Lane(0), 9, &emptied, None, Some(&floor(6, 7, "t"))), Start::After(6));
    }

    #[test]
    fn p06_a_floor_says_nothing_of_a_partition_that_retention_has_not_touched() {
        let truncated = Tail { untouched: true, ..tail(None) };
        let floor = floor(6, 7, "t");
        assert_eq!(judge(Lane(0), 9, &truncated, None, Some(&floor)), Start::After(0));
        assert!(matches!(judge(Lane(0), 5, &truncated, None, Some(&floor)), Start::Halt(_)));
    }

    #[test]
    fn p06_a_new_topic_gets_everything_again() {
        let emptied = Tail { untouched: true, ..tail(None) };
        assert_eq!(judge(Lane(0), 9, &emptied, None, Some(&floor(6, 7, "old"))), Start::After(0));
    }

    #[test]
    fn p06_an_emptied_partition_that_has_grown_since_its_floor_halts() {
        let emptied = Tail { untouched: false, ..tail(None) };
        assert!(matches!(
            judge(Lane(0), 9, &emptied, None, Some(&floor(6, 5, "t"))),
            Start::Halt(_)
        ));
        assert!(matches!(judge(Lane(0), 9, &emptied, None, None), Start::Halt(_)));
        assert_eq!(judge(Lane(0), 0, &emptied, None, None), Start::After(0));
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
