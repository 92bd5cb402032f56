use uuid::Uuid;

use super::*;
use crate::{
    id::{SagaId, StreamId},
    runtime::Timestamp,
    store::Published,
};

const LANE: Lane = Lane(0);

fn event(seq: LaneSeq, payload: &'static [u8]) -> Offered {
    let id = |n: LaneSeq| EventId(Uuid::from_u128(n.into()));
    let published = Published { lane: LANE, lane_seq: seq, key: "k".into() };
    Offered {
        event: RecordedEvent {
            id: id(seq),
            stream: StreamId::new("thing", &"k").unwrap(),
            version: seq,
            event_type: "THING".into(),
            payload: payload.into(),
            saga: SagaId(Uuid::nil()),
            causation: String::new(),
            time: Timestamp::default(),
            trace: None,
            published: Some(published),
        },
        follows: seq.checked_sub(1).filter(|seq| *seq > 0).map(id),
    }
}

fn begun() -> Rounds {
    Rounds::new(vec![Place { lane: LANE, published: 0, last: None, head: 0, floor: 0 }])
}

/// Publishes the next events, so many of them.
fn publish(rounds: &mut Rounds, count: u64) {
    let first = rounds.position(LANE) + 1;
    rounds.offer((first..first + count).map(|seq| event(seq, b"{}")).collect());
    rounds.prepare(&ServiceIdentity::new("thing"), Most { records: 1_000, bytes: 1_000_000 });
    assert_eq!(rounds.take().len() as u64, count);
    rounds.published();
}

#[test]
fn a_lane_at_work_needs_no_floor_and_one_that_is_quiet_does() {
    let mut rounds = begun();
    for _ in 0..3 {
        publish(&mut rounds, 1);
        assert_eq!(rounds.quiet_without_floor(), [], "it has moved since it was asked last");
    }
    assert_eq!(rounds.quiet_without_floor(), [LANE]);
    assert_eq!(rounds.quiet_without_floor(), [LANE], "it could not be written");
    rounds.floor_written(LANE);
    assert_eq!(rounds.quiet_without_floor(), []);
    publish(&mut rounds, 1);
    assert_eq!(rounds.without_floor(), [LANE], "at the end, quiet or not");
}

#[test]
fn a_floor_that_cannot_be_written_is_not_tried_again_each_round() {
    let mut rounds = begun();
    publish(&mut rounds, 100);
    assert_eq!(rounds.far_from_floor(100), None);
    publish(&mut rounds, 1);
    assert_eq!(rounds.far_from_floor(100), Some(LANE));
    publish(&mut rounds, 10);
    assert_eq!(rounds.far_from_floor(100), None, "a tenth later, not sooner");
    publish(&mut rounds, 1);
    assert_eq!(rounds.far_from_floor(100), Some(LANE));
    rounds.floor_written(LANE);
    publish(&mut rounds, 100);
    assert_eq!(rounds.far_from_floor(100), None);
}

#[test]
fn a_round_is_bounded_by_records_and_by_bytes() {
    let identity = ServiceIdentity::new("thing");
    let mut rounds = begun();
    rounds.offer((1..=10).map(|seq| event(seq, b"12345678")).collect());
    rounds.prepare(&identity, Most { records: 4, bytes: 1_000 });
    assert!(rounds.is_full(Most { records: 4, bytes: 1_000 }));
    assert_eq!(rounds.take().len(), 4);
    let most = Most { records: 1_000, bytes: 17 };
    rounds.prepare(&identity, most);
    assert!(rounds.is_full(most));
    assert_eq!(rounds.take().len(), 3, "the third goes beyond 17 bytes, and is the last");
    rounds.prepare(&identity, most);
    assert_eq!(rounds.take().len(), 3, "the bytes are counted from nothing again");
}
