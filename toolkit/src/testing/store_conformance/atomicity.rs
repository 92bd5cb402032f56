//! P1: one transaction, all or nothing.

use bytes::Bytes;

use super::{StorePlace, fixtures::*};
use crate::{
    id::{CauseId, Lane, StreamId},
    store::{
        Answer, Append, AppendError, Appended, EventStore, Gap, HeldChange, HeldMessage, HeldState,
        NewSnapshot, RecordedEvent, StreamSlice,
    },
};

/// Everything that the append of [`whole`] can change and a reader can see, but for positions.
#[derive(Debug, PartialEq)]
struct Seen {
    slices: Vec<StreamSlice>,
    lanes: Vec<Vec<RecordedEvent>>,
    heads: Vec<u64>,
    held: Vec<HeldMessage>,
    gaps: Vec<Gap>,
    outcome: Option<Appended>,
    answer: Option<Bytes>,
}

async fn look(store: &dyn EventStore, append: &Append) -> Seen {
    let mut seen = Seen {
        slices: Vec::new(),
        lanes: Vec::new(),
        heads: store.lane_heads().await.unwrap(),
        held: store.held_in(HeldState::Parked, 100).await.unwrap(),
        gaps: store.gaps(100).await.unwrap(),
        outcome: store.outcome(append.cause.unwrap()).await.unwrap(),
        answer: store.answer(append.answers[0].cause).await.unwrap(),
    };
    for name in ["known", "new"] {
        seen.slices.push(slice(store, &stream(name)).await);
    }
    for lane in 0..LANES {
        seen.lanes.push(store.read_lane(Lane(lane), 0, 100).await.unwrap());
    }
    seen
}

/// A store with a stream at version 2, a claimed lane with a parked message, and a used cause.
async fn furnish(store: &dyn EventStore) -> (u64, CauseId) {
    let known = stream("known");
    let (epoch, _) = own(store, &source(0)).await;
    let mut first = append(vec![event(&known, 1), public(&known, 2, 1, "k")]);
    let used = cause();
    first.answers.push(Answer { cause: used, body: Bytes::from_static(b"first") });
    first.positions.push(move_to(&source(0), epoch, 0, 1));
    first.held.push(HeldChange::Hold(Box::new(parked(&source(0), "m1", "k", 1))));
    store.append(&first).await.unwrap();
    (epoch, used)
}

/// An append with something of everything, which must succeed on a furnished store.
fn whole(epoch: u64) -> Append {
    let (known, new) = (stream("known"), stream("new"));
    let mut whole =
        append(vec![public(&known, 3, 0, "k"), public(&new, 1, 1, "k"), event(&new, 2)]);
    let (source, id) = (source(0), "m1".to_owned());
    whole.positions.push(move_to(&source, epoch, 1, 2));
    whole.answers.push(Answer { cause: cause(), body: Bytes::from_static(b"yes") });
    whole.held.push(HeldChange::Hold(Box::new(parked(&source, "m2", "other", 2))));
    whole.gaps.push(Gap { source: source.clone(), from: 1, to: 7 });
    whole.held.push(HeldChange::Release { source, id, attempts: 1 });
    whole.snapshots.push(NewSnapshot {
        stream: known,
        version: 3,
        snapshot_version: 1,
        state: Bytes::from_static(b"state"),
    });
    whole
}

fn stale_read(append: &mut Append, stream: &StreamId) {
    append.reads.push((stream.clone(), 9));
}

fn stale_held(append: &mut Append) {
    append.held.push(HeldChange::Release { source: source(0), id: "nothing".into(), attempts: 1 });
}

/// Whichever check fails, nothing of the rest is there.
pub async fn p01_an_append_is_all_or_nothing(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, used) = furnish(&*store).await;
    let good = whole(epoch);
    let before = look(&*store, &good).await;
    let flawed: [(&str, fn(&mut Append, CauseId)); 7] = [
        ("cause", |a, used| a.answers.push(Answer { cause: used, body: Bytes::new() })),
        ("position", |a, _| a.positions[0].from = 0),
        ("epoch", |a, _| a.positions[0].epoch += 1),
        ("unclaimed lane", |a, _| a.positions.push(move_to(&source(7), 1, 0, 1))),
        ("held", |a, _| stale_held(a)),
        ("read", |a, _| stale_read(a, &stream("other"))),
        ("version", |a, _| a.events[0].version = 9),
    ];
    for (name, flaw) in flawed {
        let mut bad = good.clone();
        flaw(&mut bad, used);
        store.append(&bad).await.expect_err(name);
        assert_eq!(look(&*store, &good).await, before, "after a failure by its {name}");
        let guard = moves(vec![move_to(&source(0), epoch, 1, 1)]);
        store.append(&guard).await.expect("the position has not moved");
    }
    let appended = store.append(&good).await.unwrap();
    assert_eq!(appended.first_in_lane, [(Lane(0), 1), (Lane(1), 2)]);
    let after = look(&*store, &good).await;
    let outcome = Appended { follows: vec![], ..appended };
    assert_eq!(after.outcome, Some(outcome));
    assert_eq!(after.answer.as_deref(), Some(&b"yes"[..]));
    assert_eq!(after.heads, [1, 2, 0]);
    assert_eq!(after.slices[0].snapshot, Some((3, Bytes::from_static(b"state"))));
    assert_eq!((after.slices[0].version, after.slices[1].version), (3, 2));
    assert_eq!(after.held, [parked(&source(0), "m2", "other", 2)]);
    assert_eq!(after.gaps, good.gaps);
    assert_fails!(
        store.append(&moves(vec![move_to(&source(0), epoch, 1, 1)])).await,
        AppendError::PositionLost { .. }
    );
}

/// What is certain comes first: what was done before, then what is lost, then what can be decided again.
pub async fn p01_checks_have_an_order(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, used) = furnish(&*store).await;
    let mut bad = whole(epoch);
    stale_read(&mut bad, &stream("other"));
    assert_fails!(store.append(&bad).await, AppendError::Conflict { .. });
    stale_held(&mut bad);
    assert_fails!(
        store.append(&bad).await,
        AppendError::HeldChanged { lanes } if lanes == [source(0)]
    );
    bad.positions[0].from = 0;
    assert_fails!(store.append(&bad).await, AppendError::PositionLost { .. });
    bad.answers.push(Answer { cause: used, body: Bytes::new() });
    assert_fails!(
        store.append(&bad).await,
        AppendError::AlreadyDone { causes } if causes == [used]
    );
}

/// An append that would leave a hole whatever is stored is refused for good.
pub async fn p01_a_malformed_append_is_rejected_whole(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    let flawed: [(&str, fn(&mut Append)); 5] = [
        ("a hole inside", |a| a.events[1].version = 3),
        ("a write without a read", |a| a.reads.clear()),
        ("a stream read twice", |a| a.reads.push((stream("s"), 0))),
        ("a lane that is not there", |a| {
            a.events[1] = public(&stream("s"), 2, LANES, "k");
        }),
        ("a step backwards", |a| a.positions.push(move_to(&source(0), 1, 5, 4))),
    ];
    for (name, flaw) in flawed {
        let mut bad = append(vec![event(&s, 1), event(&s, 2)]);
        flaw(&mut bad);
        match store.append(&bad).await {
            Err(AppendError::Rejected(_)) => {}
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(head(&*store, &s).await, 0, "{name}");
        assert_eq!(store.outcome(bad.cause.unwrap()).await.unwrap(), None, "{name}");
    }
    store.append(&append(vec![event(&s, 1), event(&s, 2)])).await.unwrap();
}
