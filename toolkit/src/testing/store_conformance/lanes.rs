//! P5: numbers in lanes, one writer.

use super::{StorePlace, fixtures::*};
use crate::{id::Lane, store::AppendError};

/// Numbers are given out in the order of the append, lane by lane; private events have none.
pub async fn p05_numbers_in_a_lane_follow_the_append(place: &dyn StorePlace) {
    let store = open(place).await;
    let (a, b) = (stream("a"), stream("b"));
    let events = vec![
        public(&b, 1, 0, "kb"),
        public(&a, 1, 0, "ka"),
        event(&a, 2),
        public(&a, 3, 2, "ka"),
        public(&b, 2, 0, "kb"),
    ];
    let appended = store.append(&append(events.clone())).await.unwrap();
    assert_eq!(appended.first_in_lane, [(Lane(0), 1), (Lane(2), 1)]);
    let lane = store.read_lane(Lane(0), 0, 10).await.unwrap();
    let expected = [recorded(&events[0], 1), recorded(&events[1], 2), recorded(&events[4], 3)];
    assert_eq!(lane, expected);

    let failing = append(vec![public(&a, 9, 0, "ka")]);
    assert_fails!(store.append(&failing).await, AppendError::Conflict { .. });
    let next = public(&a, 4, 0, "ka");
    let appended = store.append(&append(vec![next.clone()])).await.unwrap();
    assert_eq!(appended.first_in_lane, [(Lane(0), 4)], "a failed append uses no number");
    assert_eq!(store.lane_heads().await.unwrap(), [4, 0, 1]);
    assert_eq!(store.read_lane(Lane(0), 3, 10).await.unwrap(), [recorded(&next, 4)]);
    assert_eq!(
        slice(&*store, &a).await.events,
        [
            recorded(&events[1], 2),
            recorded(&events[2], 0),
            recorded(&events[3], 1),
            recorded(&next, 4)
        ]
    );
}

/// An append says which event its first one in each lane follows, whoever appended that.
pub async fn p08_an_append_says_what_it_follows(place: &dyn StorePlace) {
    let (store, other) = (open(place).await, place.open().await);
    let (a, b) = (stream("a"), stream("b"));
    let first =
        vec![public(&a, 1, 0, "k"), event(&a, 2), public(&a, 3, 2, "k"), public(&a, 4, 0, "k")];
    let appended = store.append(&append(first.clone())).await.unwrap();
    assert_eq!(appended.follows, [], "nothing was there");
    let private = store.append(&append(vec![event(&b, 1)])).await.unwrap();
    assert_eq!(private.follows, []);
    let second = vec![public(&b, 2, 1, "k"), public(&b, 3, 0, "k"), public(&b, 4, 0, "k")];
    let appended = other.append(&append(second.clone())).await.unwrap();
    assert_eq!(appended.first_in_lane, [(Lane(0), 3), (Lane(1), 1)]);
    assert_eq!(appended.follows, [(Lane(0), first[3].id)]);
    let failing = append(vec![public(&a, 9, 0, "k")]);
    assert_fails!(store.append(&failing).await, AppendError::Conflict { .. });
    let third = append(vec![public(&a, 5, 2, "k"), public(&a, 6, 1, "k"), public(&a, 7, 0, "k")]);
    let appended = store.append(&third).await.unwrap();
    let expected = [(Lane(0), second[2].id), (Lane(1), second[0].id), (Lane(2), first[2].id)];
    assert_eq!(appended.follows, expected);
    let outcome = store.outcome(third.cause.unwrap()).await.unwrap().unwrap();
    assert_eq!((outcome.first_in_lane, outcome.follows), (appended.first_in_lane, vec![]));
}

/// A reader gets no more than it asks for, from where it asks.
pub async fn p05_reading_a_lane_is_limited(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    let events: Vec<_> = (1..=50).map(|version| public(&s, version, 1, "k")).collect();
    store.append(&append(events)).await.unwrap();
    let numbers = async |lane, after, limit| -> Vec<u64> {
        let events = store.read_lane(Lane(lane), after, limit).await.unwrap();
        events.iter().map(|event| event.published.as_ref().unwrap().lane_seq).collect()
    };
    assert_eq!(numbers(1, 0, 3).await, [1, 2, 3]);
    assert_eq!(numbers(1, 47, 10).await, [48, 49, 50]);
    assert_eq!(numbers(1, 50, 10).await, [0; 0]);
    assert_eq!(numbers(1, u64::MAX, 10).await, [0; 0]);
    assert_eq!(numbers(1, 0, 0).await, [0; 0]);
    assert_eq!(numbers(1, 0, usize::MAX).await.len(), 50);
    assert_eq!(numbers(0, 0, 10).await, [0; 0]);
}
