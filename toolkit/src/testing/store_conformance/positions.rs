//! P2, P3, P12: positions, and who may move them.

use super::{StorePlace, fixtures::*};
use crate::store::{AppendError, Claim, Claimed, EventStore, Gap, Position, PositionMove, StartAt};

/// Moves only from what is stored; a lane that was never claimed has no position to move.
pub async fn p02_a_position_moves_by_compare_and_set(place: &dyn StorePlace) {
    let store = open(place).await;
    let lane = source(0);
    let (epoch, position) = own(&*store, &lane).await;
    let fresh = Position { last_seq: 0, last_id: None, next_offset: 0, start: StartAt::First };
    assert_eq!(position, fresh);
    store.append(&moves(vec![move_to(&lane, epoch, 0, 3)])).await.unwrap();
    for (from, to) in [(0, 3), (2, 4), (4, 5)] {
        let mut zombie = append_to(&stream("zombie"), 0);
        zombie.positions.push(move_to(&lane, epoch, from, to));
        assert_fails!(
            store.append(&zombie).await,
            AppendError::PositionLost { lanes } if lanes == [source(0)]
        );
    }
    assert_eq!(head(&*store, &stream("zombie")).await, 0);
    let unclaimed = moves(vec![move_to(&lane, epoch, 3, 4), move_to(&source(9), 1, 0, 1)]);
    assert_fails!(
        store.append(&unclaimed).await,
        AppendError::PositionLost { lanes } if lanes == [source(9)]
    );
    store.append(&moves(vec![move_to(&lane, epoch, 3, 4)])).await.unwrap();
    let (_, position) = own(&*store, &lane).await;
    let last = move_to(&lane, epoch, 3, 4);
    assert_eq!(position.last_seq, 4);
    assert_eq!((position.last_id, position.next_offset), (last.last_id, last.next_offset));
}

/// Who was overtaken loses the lane that was taken, by name, and no other (P2 ✱).
pub async fn p02_a_stale_epoch_loses_its_lanes_alone(place: &dyn StorePlace) {
    let store = open(place).await;
    let lanes = [source(0), source(1), source(2), source(3)];
    let old = epochs(&*store, &claim_of(&lanes, &["A"])).await;
    let new = epochs(&*store, &claim_of(&[source(3), source(1)], &["A"])).await;
    assert!(new[0] > old[3] && new[1] > old[1]);
    let from_zero = |lane: usize, epoch| move_to(&lanes[lane], epoch, 0, 1);
    let mut zombie = append_to(&stream("s"), 0);
    zombie.positions = (0..4).map(|lane| from_zero(lane, old[lane])).collect();
    assert_fails!(
        store.append(&zombie).await,
        AppendError::PositionLost { lanes } if sorted(&lanes) == [source(1), source(3)]
    );
    assert_eq!(head(&*store, &stream("s")).await, 0);
    zombie.positions = vec![from_zero(0, old[0]), from_zero(2, old[2])];
    store.append(&zombie).await.unwrap();
    let taken = moves(vec![from_zero(3, new[0]), from_zero(1, new[1])]);
    store.append(&taken).await.unwrap();
    let ahead = moves(vec![move_to(&source(0), old[0] + 1, 1, 2)]);
    assert_fails!(store.append(&ahead).await, AppendError::PositionLost { .. });
}

async fn epochs(store: &dyn EventStore, claim: &Claim) -> Vec<u64> {
    let claimed = store.claim(claim).await.unwrap();
    let epoch = |claimed: &Claimed| match claimed {
        Claimed::Owned { epoch, .. } => *epoch,
        Claimed::Refused { .. } => panic!("{claimed:?}"),
    };
    claimed.iter().map(epoch).collect()
}

/// A guard checks, and leaves the id at the position alone.
pub async fn p02_a_guard_keeps_the_last_id(place: &dyn StorePlace) {
    let store = open(place).await;
    let lane = source(0);
    let (epoch, _) = own(&*store, &lane).await;
    let moved = move_to(&lane, epoch, 0, 3);
    store.append(&moves(vec![moved.clone()])).await.unwrap();
    let guard = PositionMove { last_id: None, from: 3, ..moved.clone() };
    store.append(&moves(vec![guard])).await.unwrap();
    let (_, position) = own(&*store, &lane).await;
    assert_eq!((position.last_seq, position.last_id), (3, moved.last_id));
}

/// Where a lane starts is said once; a later claim that says otherwise changes nothing.
pub async fn p03_where_a_lane_starts_is_stored(place: &dyn StorePlace) {
    let store = open(place).await;
    let retained = Claim { start: StartAt::Retained, ..claim_of(&[source(0), source(1)], &["A"]) };
    let first = Claim { start: StartAt::First, ..retained.clone() };
    for claim in [&retained, &first] {
        for claimed in store.claim(claim).await.unwrap() {
            let Claimed::Owned { position, .. } = claimed else { panic!("{claimed:?}") };
            assert_eq!(position.start, StartAt::Retained);
            assert_eq!(position.last_seq, 0);
        }
    }
    let (_, position) = own(&*store, &source(2)).await;
    assert_eq!(position.start, StartAt::First);
}

/// Gaps are recorded for people to see, each once.
pub async fn p03_gaps_are_kept(place: &dyn StorePlace) {
    let store = open(place).await;
    assert_eq!(store.gaps(9).await.unwrap(), []);
    let gap = |lane, from, to| Gap { source: source(lane), from, to };
    let record = |gaps| crate::store::Append { gaps, ..Default::default() };
    store.append(&record(vec![gap(1, 1, 7), gap(0, 1, 3)])).await.unwrap();
    store.append(&record(vec![gap(1, 1, 7), gap(1, 9, 9)])).await.unwrap();
    assert_eq!(store.gaps(9).await.unwrap(), [gap(0, 1, 3), gap(1, 1, 7), gap(1, 9, 9)]);
    assert_eq!(store.gaps(1).await.unwrap(), [gap(0, 1, 3)]);
}

/// During a rolling upgrade an instance of the old version does not take the new one's lanes (P12).
pub async fn p12_a_claim_that_consumes_less_is_refused(place: &dyn StorePlace) {
    let store = open(place).await;
    let both = [source(0), source(1)];
    let old = epochs(&*store, &claim_of(&both, &["A"])).await;
    let new = epochs(&*store, &claim_of(&[source(1)], &["A", "B", "C"])).await;
    let claimed = store.claim(&claim_of(&both, &["A"])).await.unwrap();
    assert!(matches!(claimed[0], Claimed::Owned { epoch, .. } if epoch > old[0]));
    assert_eq!(claimed[1], Claimed::Refused { missing: vec!["B".into(), "C".into()] });
    let claimed = store.claim(&claim_of(&both, &["A", "C", "D"])).await.unwrap();
    assert!(matches!(claimed[0], Claimed::Owned { .. }));
    assert_eq!(claimed[1], Claimed::Refused { missing: vec!["B".into()] });
    // A refusal takes nothing away from the owner.
    store.append(&moves(vec![move_to(&source(1), new[0], 0, 1)])).await.unwrap();
    let claimed = store.claim(&claim_of(&both, &["A", "B", "C", "D"])).await.unwrap();
    assert!(claimed.iter().all(|claimed| matches!(claimed, Claimed::Owned { .. })));
}
