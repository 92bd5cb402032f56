//! P10: optimistic concurrency over all that was read; and how streams are read.

use bytes::Bytes;

use super::{StorePlace, fixtures::*};
use crate::{
    id::{StreamId, Version},
    store::{AppendError, EventStore, NewEvent, NewSnapshot, StreamSlice},
};

/// Fills a stream with a number of events.
async fn fill(store: &dyn EventStore, stream: &StreamId, events: Version) -> Vec<NewEvent> {
    let events: Vec<_> = (1..=events).map(|version| event(stream, version)).collect();
    store.append(&append(events.clone())).await.unwrap();
    events
}

/// Who read an older version is refused, whether it is the first event or a later one.
pub async fn p10_a_moved_head_is_a_conflict(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    fill(&*store, &s, 3).await;
    for read in [0, 1, 2] {
        assert_fails!(
            store.append(&append_to(&s, read)).await,
            AppendError::Conflict { streams } if streams == [stream("s")]
        );
    }
    assert_eq!(head(&*store, &s).await, 3);
    store.append(&append_to(&s, 3)).await.unwrap();
}

/// What was read and not written is checked as well (P10 ✱).
pub async fn p10_streams_only_read_are_checked(place: &dyn StorePlace) {
    let store = open(place).await;
    let (read_only, new, written) = (stream("read"), stream("new"), stream("written"));
    fill(&*store, &read_only, 2).await;
    for (stale, version) in [(&read_only, 1), (&read_only, 0), (&new, 1)] {
        let mut append = append_to(&written, 0);
        append.reads.push((stale.clone(), version));
        assert_fails!(
            store.append(&append).await,
            AppendError::Conflict { streams } if streams == [stale.clone()]
        );
    }
    let mut nothing_recorded = moves(vec![]);
    nothing_recorded.reads = vec![(read_only.clone(), 1)];
    assert_fails!(store.append(&nothing_recorded).await, AppendError::Conflict { .. });
    let mut current = append_to(&written, 0);
    current.reads.extend([(read_only, 2), (new, 0)]);
    store.append(&current).await.unwrap();
}

/// Uniqueness alone does not see that something is missing before the first new event.
pub async fn p10_a_gap_above_the_head_is_refused(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    fill(&*store, &s, 3).await;
    for ahead in [4, 5, 1_000_000, u64::MAX - 1] {
        let result = store.append(&append_to(&s, ahead)).await;
        assert_fails!(result, AppendError::Conflict { streams } if streams == [stream("s")]);
    }
    assert_fails!(store.append(&append_to(&stream("none"), 1)).await, AppendError::Conflict { .. });
    assert_eq!(head(&*store, &s).await, 3);
}

/// Exactly the streams that have moved are named.
pub async fn p10_conflicts_name_the_streams(place: &dyn StorePlace) {
    let store = open(place).await;
    let streams: Vec<_> = (0..40).map(|n| stream(&format!("s{n}"))).collect();
    store.append(&append(streams.iter().map(|s| event(s, 1)).collect())).await.unwrap();
    for moved in [7, 23] {
        store.append(&append_to(&streams[moved], 1)).await.unwrap();
    }
    let stale = append(streams.iter().map(|s| event(s, 2)).collect());
    assert_fails!(
        store.append(&stale).await,
        AppendError::Conflict { streams: named } if sorted(&named) == [streams[23].clone(), streams[7].clone()]
    );
}

/// Answers stand in the order of the question, unknown streams are empty slices, and a stream may be
/// asked for twice.
pub async fn streams_are_loaded_in_the_order_of_the_question(place: &dyn StorePlace) {
    let store = open(place).await;
    let (a, b, none) = (stream("a"), stream("b"), stream("none"));
    let events_a = fill(&*store, &a, 2).await;
    let events_b = fill(&*store, &b, 12).await;
    assert_eq!(store.load(&[]).await.unwrap(), []);
    let reads = [read(&none, 1), read(&b, 1), read(&a, 1), read(&b, 1)];
    let slices = store.load(&reads).await.unwrap();
    let whole = |events: &[NewEvent]| StreamSlice {
        snapshot: None,
        events: events.iter().map(|event| recorded(event, 0)).collect(),
        version: events.len() as Version,
        first_saga: Some(events[0].saga),
    };
    let expected = [StreamSlice::default(), whole(&events_b), whole(&events_a), whole(&events_b)];
    assert_eq!(slices, expected);
}

/// More than any driver's limit of parameters in one statement is the store's own business.
pub async fn many_streams_are_loaded_and_written_at_once(place: &dyn StorePlace) {
    let store = open(place).await;
    let streams: Vec<_> = (0..3000).map(|n| stream(&format!("many-{n:05}"))).collect();
    let mut events = Vec::new();
    for (n, s) in streams.iter().enumerate() {
        events.push(event(s, 1));
        if n % 3 == 0 {
            events.push(public(s, 2, u32::try_from(n).unwrap() % LANES, "k"));
        }
    }
    let reads: Vec<_> = streams.iter().map(|s| read(s, 1)).collect();
    let before = store.load(&reads).await.unwrap();
    assert!(before.iter().all(|slice| *slice == StreamSlice::default()));
    let appended = store.append(&append(events)).await.unwrap();
    assert!(appended.first_in_lane.iter().all(|(_, first)| *first == 1));
    let slices = store.load(&reads).await.unwrap();
    for (n, (s, slice)) in streams.iter().zip(&slices).enumerate() {
        assert_eq!(slice.version, if n % 3 == 0 { 2 } else { 1 });
        assert!(slice.events.iter().all(|event| event.stream == *s));
    }
    let again = append(streams.iter().map(|s| event(s, 1)).collect());
    assert_fails!(
        store.append(&again).await,
        AppendError::Conflict { streams: named } if named.len() == streams.len()
    );
}

fn snapshot(stream: &StreamId, version: Version, shape: u32, state: &'static str) -> NewSnapshot {
    NewSnapshot {
        stream: stream.clone(),
        version,
        snapshot_version: shape,
        state: Bytes::from_static(state.as_bytes()),
    }
}

/// A snapshot is used when it has the asked shape, and hides only the events that it holds.
pub async fn snapshots_of_another_shape_are_ignored(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    let events = fill(&*store, &s, 4).await;
    let mut next = append_to(&s, 4);
    next.snapshots = vec![snapshot(&s, 3, 2, "two"), snapshot(&s, 5, 7, "seven")];
    store.append(&next).await.unwrap();

    let whole = slice_of(&*store, &s, 1).await;
    assert_eq!((whole.snapshot, whole.events.len(), whole.version), (None, 5, 5));
    let partly = slice_of(&*store, &s, 2).await;
    assert_eq!(partly.snapshot, Some((3, Bytes::from_static(b"two"))));
    let versions: Vec<_> = partly.events.iter().map(|event| event.version).collect();
    assert_eq!((versions, partly.version), (vec![4, 5], 5));
    let nothing_after = slice_of(&*store, &s, 7).await;
    assert_eq!(nothing_after.snapshot, Some((5, Bytes::from_static(b"seven"))));
    assert_eq!((nothing_after.events.len(), nothing_after.version), (0, 5));
    for slice in [whole.first_saga, partly.first_saga, nothing_after.first_saga] {
        assert_eq!(slice, Some(events[0].saga), "the first saga is known behind a snapshot too");
    }
    let shapes = store.load(&[read(&s, 7), read(&s, 1), read(&s, 2)]).await.unwrap();
    let counts: Vec<_> = shapes.iter().map(|slice| slice.events.len()).collect();
    assert_eq!(counts, [0, 5, 2]);
}

/// Snapshots are made in the background: a late one does not undo a newer one.
pub async fn an_older_snapshot_does_not_replace_a_newer_one(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    fill(&*store, &s, 4).await;
    for (version, state) in [(3, "three"), (2, "two")] {
        let mut append = moves(vec![]);
        append.snapshots.push(snapshot(&s, version, 1, state));
        store.append(&append).await.unwrap();
    }
    let found = slice_of(&*store, &s, 1).await;
    assert_eq!(found.snapshot, Some((3, Bytes::from_static(b"three"))));
    assert_eq!(found.events.len(), 1);
}
