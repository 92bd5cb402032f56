//! What a store knows of itself: its service, lanes and shards, floors, and that it lasts.

use bytes::Bytes;

use super::{StorePlace, fixtures::*};
use crate::{
    id::Lane,
    store::{Answer, Claimed, EventStore, Floor, HeldChange, Registered, Registration, StoreError},
};

async fn refused(store: &dyn EventStore, registration: &Registration) -> String {
    match store.register(registration).await {
        Err(StoreError::Mismatch(why)) => why,
        other => panic!("{registration:?} gave {other:?}"),
    }
}

/// Another service, or another number of lanes, is told so.
pub async fn p09_a_store_belongs_to_one_service(place: &dyn StorePlace) {
    let store = open(place).await;
    let again = place.open().await;
    let own = registration();
    assert_eq!(again.register(&own).await.unwrap(), Registered { shards: SHARDS, closed: false });
    let other = Registration { service: "order".into(), ..own.clone() };
    let why = refused(&*again, &other).await;
    assert!(why.contains("order") && why.contains("payment"), "{why}");
    let more = Registration { lanes: LANES + 1, ..own.clone() };
    let why = refused(&*store, &more).await;
    assert!(why.contains(&LANES.to_string()), "{why}");
    assert_eq!(store.lane_heads().await.unwrap(), [0; LANES as usize]);
}

/// The number of shards is the store's, until someone changes it there.
pub async fn p09_shards_change_only_on_purpose(place: &dyn StorePlace) {
    let store = place.open().await;
    assert!(matches!(store.close_shards().await, Err(StoreError::Mismatch(_))), "not registered");
    let none = Registration { shards: 0, ..registration() };
    refused(&*store, &none).await;
    store.register(&registration()).await.unwrap();
    let asked = Registration { shards: 5, ..registration() };
    assert_eq!(store.register(&asked).await.unwrap().shards, SHARDS);
    let change = store.close_shards().await.unwrap();
    assert_eq!(change.shards, SHARDS);
    let opened = store.open_shards(change.number, 0).await;
    assert!(matches!(opened, Err(StoreError::Mismatch(_))), "{opened:?}");
    assert!(store.open_shards(change.number, 3).await.unwrap());
    assert_eq!(store.register(&asked).await.unwrap(), Registered { shards: 3, closed: false });
}

/// While the map is closed it is in force for nobody; the last one to close it may open it, once.
pub async fn p09_a_closed_map_is_opened_by_the_last_to_close_it(place: &dyn StorePlace) {
    let (store, other) = (open(place).await, place.open().await);
    let first = store.close_shards().await.unwrap();
    let closed = Registered { shards: SHARDS, closed: true };
    assert_eq!(other.register(&registration()).await.unwrap(), closed);
    let second = other.close_shards().await.unwrap();
    assert_eq!(second.shards, SHARDS, "what was in force last");
    assert!(second.number > first.number);
    assert!(!store.open_shards(first.number, 7).await.unwrap());
    assert_eq!(store.register(&registration()).await.unwrap(), closed);
    assert!(other.open_shards(second.number, 3).await.unwrap());
    assert!(!other.open_shards(second.number, 9).await.unwrap(), "it has ended");
    let open = Registered { shards: 3, closed: false };
    assert_eq!(store.register(&registration()).await.unwrap(), open);
    assert_eq!(store.close_shards().await.unwrap().shards, 3);
}

fn floor_at(lane_seq: u64, topic: &str) -> Floor {
    Floor {
        lane: Lane(1),
        lane_seq,
        end_offset: i64::try_from(lane_seq).unwrap() + 100,
        topic_id: topic.into(),
    }
}

/// A floor is read as it was written, one for each lane.
pub async fn p06_floors_are_kept(place: &dyn StorePlace) {
    let store = open(place).await;
    assert_eq!(store.floor(Lane(1)).await.unwrap(), None);
    for floor in [floor_at(5, "t1"), floor_at(9, "t1")] {
        store.set_floor(&floor).await.unwrap();
        assert_eq!(store.floor(Lane(1)).await.unwrap(), Some(floor));
    }
    assert_eq!(store.floor(Lane(0)).await.unwrap(), None);
}

/// A fenced relay's late floor changes nothing; a new topic starts over.
pub async fn p06_a_stale_floor_does_not_replace_a_newer_one(place: &dyn StorePlace) {
    let store = open(place).await;
    store.set_floor(&floor_at(9, "t1")).await.unwrap();
    store.set_floor(&floor_at(5, "t1")).await.unwrap();
    assert_eq!(store.floor(Lane(1)).await.unwrap(), Some(floor_at(9, "t1")));
    store.set_floor(&floor_at(2, "t2")).await.unwrap();
    assert_eq!(store.floor(Lane(1)).await.unwrap(), Some(floor_at(2, "t2")));
}

/// Another handle, opened when the first one is gone, sees all that was acknowledged.
pub async fn p15_what_was_appended_is_there_after_a_restart(place: &dyn StorePlace) {
    let s = stream("s");
    let written = public(&s, 1, 2, "k");
    let mut append = append(vec![written.clone()]);
    {
        let store = open(place).await;
        let (epoch, _) = own(&*store, &source(0)).await;
        append.positions.push(move_to(&source(0), epoch, 0, 4));
        append.answers.push(Answer { cause: cause(), body: Bytes::from_static(b"yes") });
        append.held.push(HeldChange::Hold(Box::new(parked(&source(0), "m", "k", 4))));
        store.append(&append).await.unwrap();
        store.set_floor(&floor_at(1, "t")).await.unwrap();
        let change = store.close_shards().await.unwrap();
        assert!(store.open_shards(change.number, 7).await.unwrap());
    }
    let store = place.open().await;
    assert_eq!(store.register(&registration()).await.unwrap().shards, 7);
    assert_eq!(slice(&*store, &s).await.events, [recorded(&written, 1)]);
    assert_eq!(store.read_lane(Lane(2), 0, 9).await.unwrap(), [recorded(&written, 1)]);
    assert_eq!(store.lane_heads().await.unwrap(), [0, 0, 1]);
    assert_eq!(store.answer(append.answers[0].cause).await.unwrap().unwrap(), "yes");
    let outcome = store.outcome(append.cause.unwrap()).await.unwrap().unwrap();
    assert_eq!(outcome.first_in_lane, [(Lane(2), 1)]);
    assert_eq!(store.floor(Lane(1)).await.unwrap(), Some(floor_at(1, "t")));
    let Claimed::Owned { epoch, position, held } = claim(&*store, &source(0)).await else {
        panic!("the lane is ours");
    };
    assert_eq!((epoch, position.last_seq, position.next_offset), (2, 4, 9));
    assert_eq!(position.last_id, append.positions[0].last_id);
    assert_eq!(held.len(), 1);
}
