//! P5, P10: many writers at the same moment, on several handles.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::JoinSet;

use super::{StorePlace, fixtures::*};
use crate::{
    id::{Lane, StreamId},
    store::{AppendError, EventStore, RecordedEvent},
};

const WRITERS: u32 = 6;
const APPENDS: u64 = 25;
const LIMIT: usize = 100_000;

/// Dense lanes and streams, conflicts retried and aborted appends in between; a reader that is there
/// all the time sees a prefix each time.
pub async fn p05_lanes_are_dense_under_concurrent_writers(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(follow(second.clone(), Lane(lane), done.clone())))
        .collect();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = if writer % 2 == 0 { first.clone() } else { second.clone() };
        writers.spawn(write(store, writer));
    }
    let mut written = 0;
    while let Some(count) = writers.join_next().await {
        written += count.unwrap();
    }
    done.store(true, Ordering::Release);
    let mut all = Vec::new();
    for reader in readers {
        all.push(reader.await.unwrap());
    }

    let heads = first.lane_heads().await.unwrap();
    assert_eq!(heads.iter().sum::<u64>(), written);
    for (lane, followed) in all.iter().enumerate() {
        let read = first.read_lane(Lane(u32::try_from(lane).unwrap()), 0, LIMIT).await.unwrap();
        assert_eq!(read.len() as u64, heads[lane]);
        assert_eq!(&read, followed, "the reader that followed saw the same");
    }
    in_stream_order(&all.concat(), written);
}

/// Writes to a stream of its own and to one that all share, and fails now and then on purpose.
async fn write(store: Arc<dyn EventStore>, writer: u32) -> u64 {
    let (own, hot) = (stream(&format!("writer-{writer}")), stream("hot"));
    let mut written = 0;
    for n in 1..=APPENDS {
        // It fails by its last check, when a store that writes first has counted the lanes up.
        let mut doomed = append(vec![public(&own, n, writer % LANES, "doomed")]);
        doomed.reads.push((stream("nothing"), 3));
        assert_fails!(patient(&*store, &doomed).await, AppendError::Conflict { .. });
        loop {
            let head = head(&*store, &hot).await;
            let lane = u32::try_from(n).unwrap() % LANES;
            let events = vec![
                public(&own, n, (writer + 1) % LANES, "own"),
                public(&hot, head + 1, lane, "hot"),
                event(&hot, head + 2),
            ];
            match patient(&*store, &append(events)).await {
                Ok(_) => break written += 2,
                Err(AppendError::Conflict { streams }) => {
                    assert!(streams.is_empty() || streams == [hot.clone()], "{streams:?}");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    written
}

/// Reads a lane as a relay does; what comes must join what it has.
async fn follow(
    store: Arc<dyn EventStore>,
    lane: Lane,
    done: Arc<AtomicBool>,
) -> Vec<RecordedEvent> {
    let mut seen: Vec<RecordedEvent> = Vec::new();
    loop {
        let last = done.load(Ordering::Acquire);
        let fresh = store.read_lane(lane, seen.len() as u64, LIMIT).await.unwrap();
        for event in fresh {
            let published = event.published.as_ref().unwrap();
            assert_eq!(published.lane, lane);
            assert_eq!(published.lane_seq, seen.len() as u64 + 1, "a prefix never grows inside");
            seen.push(event);
        }
        if last {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

/// In a lane the events of a stream stand in its order, and each is there once.
fn in_stream_order(lanes: &[RecordedEvent], written: u64) {
    let ids: BTreeSet<_> = lanes.iter().map(|event| event.id).collect();
    assert_eq!(ids.len() as u64, written);
    let mut last: BTreeMap<(Lane, &StreamId), u64> = BTreeMap::new();
    for event in lanes {
        let lane = event.published.as_ref().unwrap().lane;
        let before = last.insert((lane, &event.stream), event.version);
        assert!(before.is_none_or(|version| version < event.version));
    }
}

/// Two that read the same two streams, each writing another one: both cannot be right.
pub async fn p10_write_skew_is_refused(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    for round in 0..20 {
        let (x, y) = (stream(&format!("x{round}")), stream(&format!("y{round}")));
        let mut left = append_to(&x, 0);
        left.reads.push((y.clone(), 0));
        let mut right = append_to(&y, 0);
        right.reads.push((x.clone(), 0));
        let (a, b) = (first.clone(), second.clone());
        let left = tokio::spawn(async move { patient(&*a, &left).await });
        let right = tokio::spawn(async move { patient(&*b, &right).await });
        let results = [left.await.unwrap(), right.await.unwrap()];
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().any(|r| matches!(r, Err(AppendError::Conflict { .. }))));
    }
}

/// Several that move a position from where they saw it: one wins, the others lose the lane.
pub async fn p02_one_of_many_wins_a_position(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let (epoch, _) = own(&*first, &source(0)).await;
    for from in 0..10 {
        let mut tasks = JoinSet::new();
        for task in 0..4 {
            let store = if task % 2 == 0 { first.clone() } else { second.clone() };
            let s = stream(&format!("{from}-{task}"));
            let mut append = append_to(&s, 0);
            append.positions.push(move_to(&source(0), epoch, from, from + 1));
            tasks.spawn(async move { (s, patient(&*store, &append).await) });
        }
        let mut won = 0;
        while let Some(result) = tasks.join_next().await {
            let (s, result) = result.unwrap();
            match result {
                Ok(_) => {
                    won += 1;
                    assert_eq!(head(&*first, &s).await, 1);
                }
                Err(AppendError::PositionLost { lanes }) => {
                    assert_eq!(lanes, [source(0)]);
                    assert_eq!(head(&*first, &s).await, 0, "a loser writes nothing");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}
