//! P11, P12: held messages.

use super::{StorePlace, fixtures::*};
use crate::{
    id::SourceLane,
    runtime::Timestamp,
    store::{
        Append, AppendError, Claimed, EventStore, HeldChange, HeldHead, HeldMessage, HeldState,
    },
};

fn change(epoch: u64, at: u64, held: Vec<HeldChange>) -> Append {
    Append { held, ..moves(vec![move_to(&source(0), epoch, at, at)]) }
}

fn hold(message: HeldMessage) -> HeldChange {
    HeldChange::Hold(Box::new(message))
}

fn message(id: &str, key: &str, seq: u64, state: HeldState) -> HeldMessage {
    HeldMessage { state, ..parked(&source(0), id, key, seq) }
}

fn release(id: &str, attempts: u32) -> HeldChange {
    HeldChange::Release { source: source(0), id: id.into(), attempts }
}

fn update(id: &str, attempts: u32, state: HeldState) -> HeldChange {
    HeldChange::Update {
        source: source(0),
        id: id.into(),
        attempts,
        new_attempts: attempts + 1,
        state,
        next_at: Timestamp(5000),
        reason: "still closed".into(),
    }
}

async fn heads(store: &dyn EventStore, lane: &SourceLane, held_max: usize) -> Vec<HeldHead> {
    let claim = crate::store::Claim { held_max, ..claim_of(std::slice::from_ref(lane), &["A"]) };
    match store.claim(&claim).await.unwrap().remove(0) {
        Claimed::Owned { held, .. } => held,
        refused @ Claimed::Refused { .. } => panic!("{refused:?}"),
    }
}

async fn ids_of(store: &dyn EventStore, key: &str, limit: usize) -> Vec<String> {
    let held = store.held(&source(0), key, limit).await.unwrap();
    held.into_iter().map(|message| message.id).collect()
}

/// In the order of the lane, whatever the order of holding; other keys and lanes apart; whole.
pub async fn p11_held_messages_keep_their_order(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    let (other_epoch, _) = own(&*store, &source(1)).await;
    let k = |id: &str, seq| message(id, "k", seq, HeldState::Waiting);
    let held = vec![hold(k("z", 2)), hold(k("b", 10)), hold(k("a", 1))];
    store.append(&change(epoch, 0, held)).await.unwrap();
    let mut more = change(epoch, 0, vec![hold(message("c", "K", 3, HeldState::Parked))]);
    more.positions.push(move_to(&source(1), other_epoch, 0, 0));
    more.held.push(hold(parked(&source(1), "a", "k", 1)));
    store.append(&more).await.unwrap();
    assert_eq!(ids_of(&*store, "k", 10).await, ["a", "z", "b"]);
    assert_eq!(ids_of(&*store, "k", 2).await, ["a", "z"]);
    assert_eq!(ids_of(&*store, "K", 10).await, ["c"]);
    assert_eq!(ids_of(&*store, "none", 10).await, [""; 0]);
    let whole = store.held(&source(0), "k", 1).await.unwrap();
    assert_eq!(whole, [k("a", 1)]);
    assert_eq!(
        store.held(&source(1), "k", 9).await.unwrap(),
        [parked(&source(1), "a", "k", 1)],
        "an id is unique in its lane only"
    );
}

/// Release and update need the attempts that were read; holding twice changes nothing.
pub async fn p11_a_held_message_changes_by_compare_and_set(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    let first = message("m", "k", 1, HeldState::Parked);
    store.append(&change(epoch, 0, vec![hold(first.clone())])).await.unwrap();
    let again = HeldMessage { attempts: 9, reason: "again".into(), ..first.clone() };
    store.append(&change(epoch, 0, vec![hold(again)])).await.unwrap();
    assert_eq!(store.held(&source(0), "k", 9).await.unwrap(), std::slice::from_ref(&first));

    for stale in [release("m", 2), update("m", 0, HeldState::Dead), release("n", 1)] {
        let result = store.append(&change(epoch, 0, vec![stale])).await;
        assert_fails!(result, AppendError::HeldChanged { lanes } if lanes == [source(0)]);
    }
    assert_eq!(store.held(&source(0), "k", 9).await.unwrap(), std::slice::from_ref(&first));

    store.append(&change(epoch, 0, vec![update("m", 1, HeldState::Dead)])).await.unwrap();
    let updated = HeldMessage {
        attempts: 2,
        state: HeldState::Dead,
        next_at: Timestamp(5000),
        reason: "still closed".into(),
        ..first
    };
    assert_eq!(store.held(&source(0), "k", 9).await.unwrap(), [updated]);
    let twice = change(epoch, 0, vec![release("m", 2), release("m", 2)]);
    assert_fails!(store.append(&twice).await, AppendError::HeldChanged { .. });
    store.append(&change(epoch, 0, vec![release("m", 2)])).await.unwrap();
    assert_eq!(store.held(&source(0), "k", 9).await.unwrap(), []);
}

/// A claim gives the first message of each key, the earliest first, and no more than asked for.
pub async fn p11_heads_are_the_first_of_their_keys(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    let mut waiting = message("k2", "k", 2, HeldState::Waiting);
    waiting.offset = -1;
    let held = vec![
        hold(message("a5", "k", 5, HeldState::Waiting)),
        hold(waiting),
        hold(message("j3", "j", 3, HeldState::Dead)),
        hold(message("j4", "j", 4, HeldState::Parked)),
        hold(message("x1", "x", 1, HeldState::Parked)),
        // Nothing waits behind a dead one without a key; one that is to be tried again must be found.
        hold(message("e0", "", 0, HeldState::Dead)),
    ];
    store.append(&change(epoch, 0, held)).await.unwrap();
    let found = heads(&*store, &source(0), 10).await;
    let ids: Vec<&str> = found.iter().map(|head| head.id.as_str()).collect();
    assert_eq!(ids, ["x1", "k2", "j3"]);
    let head = HeldHead {
        key: "k".into(),
        id: "k2".into(),
        state: HeldState::Waiting,
        attempts: 1,
        next_at: Timestamp(2000),
    };
    assert_eq!(found[1], head);
    assert_eq!(heads(&*store, &source(0), 2).await, found[..2]);
    assert_eq!(heads(&*store, &source(1), 2).await, []);

    let (epoch, _) = own(&*store, &source(0)).await;
    let retried = vec![update("e0", 1, HeldState::Parked), release("j3", 1)];
    store.append(&change(epoch, 0, retried)).await.unwrap();
    let found = heads(&*store, &source(0), 10).await;
    let ids: Vec<&str> = found.iter().map(|head| head.id.as_str()).collect();
    assert_eq!(ids, ["e0", "x1", "k2", "j4"]);
}

/// A new owner never sees a position without the messages that were held when it moved, nor the
/// other way round (P11 ✱).
pub async fn p11_position_and_held_are_one_snapshot(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let lane = source(0);
    let writer = tokio::spawn(async move {
        let lane = source(0);
        let mut written = 0;
        while written < 40 {
            let (epoch, position) = own(&*first, &lane).await;
            let mut at = position.last_seq;
            loop {
                let mut append = moves(vec![move_to(&lane, epoch, at, at + 1)]);
                let id = format!("m{at}");
                append.held.push(hold(parked(&lane, &id, &id, at + 1)));
                match patient(&*first, &append).await {
                    Ok(_) => (at, written) = (at + 1, written + 1),
                    Err(AppendError::PositionLost { .. }) => break,
                    Err(other) => panic!("{other:?}"),
                }
                if written == 40 {
                    break;
                }
            }
        }
    });
    let mut epochs = Vec::new();
    while !writer.is_finished() {
        match claim(&*second, &lane).await {
            Claimed::Owned { epoch, position, held } => {
                assert_eq!(held.len() as u64, position.last_seq);
                epochs.push(epoch);
            }
            refused @ Claimed::Refused { .. } => panic!("{refused:?}"),
        }
        // Lets the writer get somewhere between two claims.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    writer.await.unwrap();
    assert!(epochs.windows(2).all(|pair| pair[0] < pair[1]), "each claim has a higher epoch");
    let Claimed::Owned { position, held, .. } = claim(&*second, &lane).await else { panic!() };
    assert_eq!((position.last_seq, held.len()), (40, 40));
}

/// People look for the dead and the parked of all lanes, the oldest first.
pub async fn p11_held_messages_are_listed_by_state(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    let dead = |id: &str, held_at| HeldMessage {
        held_at: Timestamp(held_at),
        ..message(id, "k", 1, HeldState::Dead)
    };
    let held = vec![
        hold(dead("young", 30)),
        hold(dead("old", 10)),
        hold(dead("middle", 20)),
        hold(message("parked", "p", 1, HeldState::Parked)),
    ];
    store.append(&change(epoch, 0, held)).await.unwrap();
    let ids = |messages: Vec<HeldMessage>| -> Vec<String> {
        messages.into_iter().map(|message| message.id).collect()
    };
    assert_eq!(ids(store.held_in(HeldState::Dead, 9).await.unwrap()), ["old", "middle", "young"]);
    assert_eq!(ids(store.held_in(HeldState::Dead, 1).await.unwrap()), ["old"]);
    assert_eq!(ids(store.held_in(HeldState::Parked, 9).await.unwrap()), ["parked"]);
    assert_eq!(ids(store.held_in(HeldState::Waiting, 9).await.unwrap()), [""; 0]);
}
