//! Random appends, against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::{StorePlace, agenda, fixtures::*};
use crate::{
    id::{AgendaId, CauseId, Lane, StreamId},
    runtime::Entropy,
    store::{
        AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AgendaState, Append, AppendError,
        EventStore, NewEvent, RecordedEvent,
    },
};

const STREAMS: u64 = 6;
const SOURCES: u32 = 3;
const STEPS: u32 = 150;
const ITEMS: u64 = 5;

/// All events in the order of their appends, and the rest as plain lists.
#[derive(Default)]
struct Model {
    events: Vec<RecordedEvent>,
    positions: Vec<(u64, u64)>,
    causes: BTreeSet<CauseId>,
    /// Each with whether it is claimed.
    agenda: BTreeMap<AgendaId, (AgendaItem, bool)>,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Committed,
    AlreadyDone,
    PositionLost(Vec<u32>),
    VoidItems(Vec<AgendaId>),
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
        let void = append.agenda.iter().filter(|change| match change {
            AgendaChange::Done { id, token } | AgendaChange::Update { id, token, .. } => {
                self.agenda.get(id).is_none_or(|(item, _)| item.token != *token)
            }
            _ => false,
        });
        let void: Vec<_> = void.map(AgendaChange::id).collect();
        if !void.is_empty() {
            return Verdict::VoidItems(sorted(&void));
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
        for group in 0..3 {
            append.agenda.iter().for_each(|change| self.change(group, change));
        }
        Verdict::Committed
    }

    fn change(&mut self, group: u32, change: &AgendaChange) {
        match (group, change) {
            (0, AgendaChange::Done { id, .. }) | (1, AgendaChange::Clear(id)) => {
                self.agenda.remove(id);
            }
            (0, AgendaChange::Update { id, due, state, attempts, begun, outcome, reason, .. }) => {
                let (item, claimed) = self.agenda.get_mut(id).unwrap();
                *claimed = false;
                (item.due, item.state, item.attempts) = (*due, *state, *attempts);
                (item.begun, item.outcome) = (*begun, outcome.clone());
                item.reason.clone_from(reason);
            }
            (2, AgendaChange::Put(item)) => {
                self.agenda.insert(item.id, ((**item).clone(), false));
            }
            _ => {}
        }
    }

    /// Claims for ever; gives what a store must give.
    fn claim(&mut self, claim: &AgendaClaim) -> Vec<AgendaItem> {
        let mut due: Vec<_> = self.agenda.values_mut().collect();
        due.sort_by_key(|(item, _)| (item.due, item.id));
        due.retain(|(item, claimed)| {
            let is_asked = item.kind == claim.kind && claim.names.contains(&item.name);
            is_asked && !*claimed && item.state == AgendaState::Pending && item.due <= claim.now
        });
        let mut taken = Vec::new();
        for (item, claimed) in due.into_iter().take(claim.limit) {
            let begun = item.begun;
            *claimed = true;
            item.token = claim.token;
            taken.push(item.clone());
            item.begun = begun || item.kind == AgendaKind::Effect;
        }
        taken
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
        Err(AppendError::AgendaChanged { ids }) => Verdict::VoidItems(sorted(&ids)),
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
    if entropy.below(3) > 0 {
        append.agenda = random_changes(model, entropy);
    }
    append
}

/// Of each item nothing, or up to a change of each kind, with a token that is mostly right; in any order.
fn random_changes(model: &Model, entropy: &Entropy) -> Vec<AgendaChange> {
    let mut changes = Vec::new();
    for n in 0..ITEMS {
        let mut item = if n % 2 == 0 { agenda::deadline(0) } else { agenda::effect(0) };
        item.id = AgendaId(uuid::Uuid::from_u128(u128::from(n)));
        item.due.0 = i64::try_from(entropy.below(10)).unwrap();
        item.begun = entropy.below(2) == 0;
        item.attempts = u32::try_from(entropy.below(4)).unwrap();
        item.outcome = (entropy.below(2) == 0).then(|| vec![0; 3].into());
        if entropy.below(6) == 0 {
            item.state = AgendaState::Dead;
        }
        let known = model.agenda.get(&item.id).map(|(known, _)| known.clone());
        if entropy.below(3) == 0 && (known.is_some() || entropy.below(20) == 0) {
            let mut known = known.unwrap_or_else(|| item.clone());
            if entropy.below(20) == 0 {
                known.token = cause().0;
            }
            let ending = [agenda::done(&known), agenda::tried(&known, &item)];
            changes.extend(ending.into_iter().nth(usize::try_from(entropy.below(2)).unwrap()));
        }
        if entropy.below(6) == 0 {
            changes.push(AgendaChange::Clear(item.id));
        }
        if entropy.below(3) == 0 {
            changes.insert(0, agenda::put(&item));
        }
    }
    changes
}

fn random_claim(entropy: &Entropy) -> AgendaClaim {
    let kind = [AgendaKind::Deadline, AgendaKind::Effect][usize::from(entropy.below(2) == 0)];
    let now = i64::try_from(entropy.below(10)).unwrap();
    let limit = usize::try_from(1 + entropy.below(3)).unwrap();
    AgendaClaim { limit, ..agenda::claim_due(kind, &["pay", "time_is_up"], now) }
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
    let mut items: Vec<_> = model.agenda.values().map(|(item, _)| item.clone()).collect();
    items.sort_by_key(|item| (item.due, item.id));
    assert_eq!(agenda::agenda(store).await, items);
}

/// A hundred and fifty random appends from each of three seeds, and a claim after each: the same verdicts, the
/// same events, the same items.
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
            let claim = random_claim(&entropy);
            let claimed = store.claim_agenda(&claim).await.unwrap();
            assert_eq!(claimed, model.claim(&claim), "seed {seed}, step {step}: {claim:?}");
            let append = random_append(&model, &entropy);
            let expected = model.append(&append);
            verdicts.insert(format!("{expected:?}").chars().take(8).collect::<String>());
            let found = verdict(store.append(&append).await);
            assert_eq!(found, expected, "seed {seed}, step {step}: {append:?}");
        }
        compare(&*store, &model).await;
    }
    assert_eq!(verdicts.len(), 5, "each verdict occurred: {verdicts:?}");
}
