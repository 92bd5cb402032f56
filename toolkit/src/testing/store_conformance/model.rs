//! Random appends, against a model that is too simple to be wrong.

use std::collections::BTreeSet;

use super::{StorePlace, fixtures::*};
use crate::{
    id::{CauseId, Lane, StreamId},
    runtime::Entropy,
    store::{Append, AppendError, EventStore, NewEvent, RecordedEvent},
};

const STREAMS: u64 = 6;
const SOURCES: u32 = 3;
const STEPS: u32 = 150;

/// All events in the order of their appends, and the rest as plain lists.
#[derive(Default)]
struct Model {
    events: Vec<RecordedEvent>,
    positions: Vec<(u64, u64)>,
    causes: BTreeSet<CauseId>,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Committed,
    AlreadyDone,
    PositionLost(Vec<u32>),
    Conflict(Vec<StreamId>),
}

impl Model {
    fn head(&self, stream: &StreamId) -> u64 {
        self.events.iter().filter(|event| event.stream == *stream).count() as u64
    }

    fn lane(&self, lane: Lane) -> Vec<RecordedEvent> {
        let on_lane = |e: &&RecordedEvent| e.published.as_ref().is_some_and(|p| p.lane == lane);
        self.events.iter().filter(on_lane).cloned().collect()
    }

    fn append(&mut self, append: &Append) -> Verdict {
        if append.cause.is_some_and(|cause| self.causes.contains(&cause)) {
            return Verdict::AlreadyDone;
        }
        let lost = append.positions.iter().filter(|moved| {
            self.positions[moved.source.lane.0 as usize] != (moved.epoch, moved.from)
        });
        let lost: Vec<u32> = lost.map(|moved| moved.source.lane.0).collect();
        if !lost.is_empty() {
            return Verdict::PositionLost(lost);
        }
        let moved = append.reads.iter().filter(|(stream, version)| self.head(stream) != *version);
        let moved: Vec<_> = moved.map(|(stream, _)| stream.clone()).collect();
        if !moved.is_empty() {
            return Verdict::Conflict(moved);
        }
        for event in &append.events {
            let lane = event.route.as_ref().map(|route| self.lane(route.lane).len() as u64);
            self.events.push(recorded(event, lane.unwrap_or(0) + 1));
        }
        for moved in &append.positions {
            self.positions[moved.source.lane.0 as usize].1 = moved.to;
        }
        self.causes.extend(append.cause);
        Verdict::Committed
    }
}

fn verdict(result: Result<crate::store::Appended, AppendError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Committed,
        Err(AppendError::AlreadyDone { .. }) => Verdict::AlreadyDone,
        Err(AppendError::PositionLost { mut lanes }) => {
            lanes.sort();
            Verdict::PositionLost(lanes.iter().map(|source| source.lane.0).collect())
        }
        Err(AppendError::Conflict { mut streams }) => {
            streams.sort();
            Verdict::Conflict(streams)
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Reads that are mostly right, positions that are mostly right, a cause that is mostly new.
fn random_append(model: &Model, entropy: &Entropy) -> Append {
    let mut append = Append::default();
    let rarely = || entropy.below(8) == 0;
    let used = model.causes.iter().nth(usize::try_from(entropy.below(20)).unwrap());
    append.cause = if rarely() { used.copied() } else { Some(cause()) };
    for n in 0..STREAMS {
        if entropy.below(2) == 0 {
            let s = stream(&format!("s{n}"));
            let head = model.head(&s) + if rarely() { entropy.below(3) } else { 0 };
            append.events.extend(random_events(&s, head, entropy));
            append.reads.push((s, head));
        }
    }
    for lane in 0..SOURCES {
        let (epoch, last) = model.positions[lane as usize];
        if entropy.below(3) == 0 {
            let from = if rarely() { last + 1 } else { last };
            let epoch = if rarely() { epoch + 1 } else { epoch };
            append.positions.push(move_to(&source(lane), epoch, from, from + entropy.below(3)));
        }
    }
    append
}

fn random_events(stream: &StreamId, head: u64, entropy: &Entropy) -> Vec<NewEvent> {
    let lane = || u32::try_from(entropy.below(u64::from(LANES))).unwrap();
    (1..=entropy.below(4))
        .map(|n| match entropy.below(2) {
            0 => event(stream, head + n),
            _ => public(stream, head + n, lane(), "k"),
        })
        .collect()
}

async fn compare(store: &dyn EventStore, model: &Model) {
    for n in 0..STREAMS {
        let s = stream(&format!("s{n}"));
        let slice = slice(store, &s).await;
        let own: Vec<_> = model.events.iter().filter(|e| e.stream == s).cloned().collect();
        assert_eq!(slice.version, own.len() as u64);
        assert_eq!(slice.first_saga, own.first().map(|event| event.saga));
        assert_eq!(slice.events, own);
    }
    for lane in (0..LANES).map(Lane) {
        assert_eq!(store.read_lane(lane, 0, usize::MAX).await.unwrap(), model.lane(lane));
    }
}

/// A hundred and fifty random appends from each of three seeds: the same verdicts, the same events.
pub async fn random_appends_do_what_a_naive_model_does(place: &dyn StorePlace) {
    let store = open(place).await;
    let mut model = Model::default();
    for lane in 0..SOURCES {
        model.positions.push((own(&*store, &source(lane)).await.0, 0));
    }
    let mut verdicts = BTreeSet::new();
    for seed in 1..=3 {
        let entropy = Entropy::seeded(seed);
        for step in 0..STEPS {
            let append = random_append(&model, &entropy);
            let expected = model.append(&append);
            verdicts.insert(format!("{expected:?}").chars().take(8).collect::<String>());
            let found = verdict(store.append(&append).await);
            assert_eq!(found, expected, "seed {seed}, step {step}: {append:?}");
        }
        compare(&*store, &model).await;
    }
    assert_eq!(verdicts.len(), 4, "each verdict occurred: {verdicts:?}");
}
