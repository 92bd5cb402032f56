//! What every run must keep, whatever the services are.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;

use super::{
    actors::Crowd, core::ServiceCore, person, report::Broken, view::lane_of, witness,
    world::NAMESPACE,
};
use crate::{
    engine::Config,
    id::{EventId, Lane, LaneSeq, SourceLane},
    log::{EventLog as _, LogRecord, record},
    store::{
        AgendaKind, AgendaQuery, AgendaState, EventStore as _, HeldMessage, HeldState, Letter,
        Position, RecordedEvent,
    },
};

/// Held messages that are looked at.
const HELD_MAX: usize = 1_000;

/// Why it is not quiet yet; `None` when it is: everything is published, read and applied, nothing is
/// parked, nobody waits for an answer, and every instance is up.
pub(super) fn unrest(crowd: &Crowd) -> Option<String> {
    let core = &crowd.core;
    let asking = core.asking.load(std::sync::atomic::Ordering::Relaxed);
    if asking > 0 {
        return Some(format!("{asking} commands wait for their answers"));
    }
    let on_their_way = core.on_their_way.load(std::sync::atomic::Ordering::Relaxed);
    if on_their_way > 0 {
        return Some(format!("{on_their_way} requests are on their way outside"));
    }
    let down = crowd.instances().iter().flatten().filter(|instance| instance.is_none()).count();
    if down > 0 {
        return Some(format!("{down} instances are down"));
    }
    let mut heads: BTreeMap<SourceLane, LaneSeq> = BTreeMap::new();
    for service in &core.services {
        if let Some(unrest) = unpublished(crowd, service, &mut heads) {
            return Some(unrest);
        }
    }
    (0..core.services.len()).find_map(|service| unapplied(crowd, service, &heads))
}

fn unpublished(
    crowd: &Crowd,
    service: &ServiceCore,
    heads: &mut BTreeMap<SourceLane, LaneSeq>,
) -> Option<String> {
    let stored = service.store.lane_heads().now_or_never()?.unwrap_or_default();
    for (lane, head) in (0..).map(Lane).zip(stored) {
        let source = SourceLane { topic: service.topic.clone(), lane };
        let back = crowd.core.log.read_back(&source, 1).now_or_never()?.ok();
        let last = back.as_ref().and_then(|back| back.records.last());
        let published = last.and_then(|r| record::lane_seq(&r.headers)).unwrap_or(0);
        if published != head {
            return Some(format!(
                "{source} is stored up to {head} and published up to {published}"
            ));
        }
        heads.insert(source, head);
    }
    None
}

fn unapplied(
    crowd: &Crowd,
    service: usize,
    heads: &BTreeMap<SourceLane, LaneSeq>,
) -> Option<String> {
    let of = &crowd.core.services[service];
    let positions = of.store.positions().now_or_never()?.unwrap_or_default();
    let at = |(lane, at): (SourceLane, Position)| (lane, (at.last_seq, at.next_offset));
    let positions: BTreeMap<_, _> = positions.into_iter().map(at).collect();
    let sources = &crowd.kinds[service].sources;
    for source in crowd.core.services.iter().filter(|s| sources.contains(&s.name)) {
        for (lane, head) in heads.iter().filter(|(lane, _)| lane.topic == source.topic) {
            let applied = positions.get(lane).map_or(0, |(seq, _)| *seq);
            if applied != *head {
                return Some(format!("{} has applied {lane} up to {applied} of {head}", of.name));
            }
        }
    }
    let foreign = sources.iter().filter(|s| crowd.core.services.iter().all(|of| of.name != **s));
    let behind = foreign
        .flat_map(|owner| foreign_ends(crowd, owner))
        .find(|(lane, end)| positions.get(lane).map_or(0, |(_, next)| *next) < *end);
    if let Some((lane, end)) = behind {
        return Some(format!("{} has not applied {lane} up to offset {end}", of.name));
    }
    let held = [HeldState::Parked, HeldState::Waiting].into_iter().find_map(|state| {
        let held = of.store.held_in(state, HELD_MAX).now_or_never()?.unwrap_or_default();
        let first = held.iter().find(|held| !behind_a_dead_one(of, held))?;
        let told = format!(
            "{} holds {} of {} ({state:?}, due {}): {}",
            of.name, first.event_type, first.key, first.next_at, first.reason
        );
        Some(told)
    });
    held.or_else(|| pending(crowd, of))
}

/// It waits for a person and for nothing else: that is for the person's sake unrest, or a dead letter in
/// the end.
fn behind_a_dead_one(service: &ServiceCore, held: &HeldMessage) -> bool {
    let heads = service.store.held(&held.source, &held.key, 1).now_or_never();
    let heads = heads.and_then(Result::ok).unwrap_or_default();
    heads.first().is_some_and(|head| head.state == HeldState::Dead)
}

/// The lanes of a topic that is no service's, and where they end.
fn foreign_ends(crowd: &Crowd, owner: &str) -> Vec<(SourceLane, i64)> {
    let topic = Config::new(NAMESPACE).topic_of(owner);
    let end = |lane| {
        let source = SourceLane { topic: topic.as_str().into(), lane };
        crowd.core.log.bounds(&source).map(|(_, end)| (source, end))
    };
    (0..).map(Lane).map_while(end).collect()
}

/// Effects that have no outcome yet, and deadlines that are due.
fn pending(crowd: &Crowd, service: &ServiceCore) -> Option<String> {
    let query =
        AgendaQuery { state: Some(AgendaState::Pending), limit: usize::MAX, ..Default::default() };
    let items = service.store.agenda(&query).now_or_never()?.unwrap_or_default();
    let now = crowd.core.exec.now();
    let busy = items.iter().find(|item| item.kind == AgendaKind::Effect || item.due <= now)?;
    let (kind, name, key) = (busy.kind.name(), &busy.name, &busy.key);
    Some(format!("{}: the {kind} {name} of {key} is pending: {}", service.name, busy.reason))
}

/// What is wrong although all is quiet.
pub(super) fn wrong(crowd: &Crowd) -> Option<Broken> {
    for (number, service) in crowd.core.services.iter().enumerate() {
        let fell_back = crowd.core.witness().fell_back(number);
        let checks = [
            lanes_and_log(crowd, service),
            streams(service),
            if fell_back { None } else { causes(crowd, number) },
        ];
        if let Some(broken) = checks.into_iter().flatten().next() {
            return Some(broken);
        }
    }
    None
}

/// The log, as a reader of what is committed sees it, is the store's lane, event by event.
fn lanes_and_log(crowd: &Crowd, service: &ServiceCore) -> Option<Broken> {
    for lane in (0..service.lanes).map(Lane) {
        let source = SourceLane { topic: service.topic.clone(), lane };
        let events = lane_of(&service.store, lane);
        let sparse = events.iter().zip(1..).find(|(event, seq)| {
            event.published.as_ref().is_none_or(|p| p.lane != lane || p.lane_seq != *seq)
        });
        if let Some((event, seq)) = sparse {
            let told = format!("{source}: {} stands where number {seq} should", event.id);
            return Some(Broken::invariant("lanes are dense", told));
        }
        let back = crowd.core.log.read_back(&source, usize::MAX).now_or_never()?.ok()?;
        if let Some(told) = differs(&source, &events, &back.records) {
            return Some(Broken::invariant("the log is the store", told));
        }
    }
    None
}

fn differs(source: &SourceLane, events: &[RecordedEvent], records: &[LogRecord]) -> Option<String> {
    if events.len() != records.len() {
        let (stored, logged) = (events.len(), records.len());
        return Some(format!("{source}: {stored} events are stored, {logged} are in the log"));
    }
    events.iter().zip(records).zip(1..).find_map(|((event, record), number)| {
        let published = event.published.as_ref()?;
        let same = record::lane_seq(&record.headers) == Some(published.lane_seq)
            && id_of(record) == Some(event.id)
            && record.value == event.payload
            && record.key == published.key.as_bytes();
        let told = || {
            let logged = (record::lane_seq(&record.headers), id_of(record));
            format!(
                "{source}: number {number} is {} {} in the store and {logged:?} in the log",
                event.event_type, event.id
            )
        };
        (!same).then(told)
    })
}

pub(super) fn id_of(record: &LogRecord) -> Option<EventId> {
    let id = record::header(&record.headers, record::name::ID)?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

fn streams(service: &ServiceCore) -> Option<Broken> {
    let sparse = service.store.streams().into_iter().find_map(|(stream, events)| {
        let wrong = events.iter().zip(1..).find(|(event, version)| event.version != *version)?;
        Some(format!(
            "{}: {stream} has version {} where {} should be",
            service.name, wrong.0.version, wrong.1
        ))
    });
    sparse.map(|told| Broken::invariant("versions are dense", told))
}

fn causes(crowd: &Crowd, service: usize) -> Option<Broken> {
    let store = &crowd.core.services[service].store;
    let events: Vec<RecordedEvent> = store
        .streams()
        .into_iter()
        .flat_map(|(_, events)| events)
        .map(|event| (*event).clone())
        .collect();
    let told = witness::causes_are_whole(&crowd.core, service, &events)?;
    Some(Broken::invariant("every cause is applied once", told))
}

/// A dead letter on which nobody rules.
pub(super) fn dead(service: &ServiceCore) -> Option<Broken> {
    let aside = |letter: &Letter| match letter {
        Letter::Message(held) => held.state == HeldState::Aside,
        Letter::Item(_) => false,
    };
    let first = person::dead(&service.store).into_iter().find(|letter| !aside(letter))?;
    let told = match first {
        Letter::Message(held) => {
            format!("{}: {} of {}: {}", service.name, held.event_type, held.key, held.reason)
        }
        Letter::Item(item) => {
            format!("{}: {} of {}: {}", service.name, item.name, item.key, item.reason)
        }
    };
    Some(Broken::invariant("no message is dead", told))
}

/// Why instances are not ready.
pub(super) fn complaints(crowd: &Crowd) -> Vec<String> {
    let mut told = vec![];
    for (service, instances) in crowd.core.services.iter().zip(crowd.instances().iter()) {
        for (number, instance) in instances.iter().enumerate() {
            let Some(instance) = instance else { continue };
            let reasons = instance.health().reasons;
            told.extend(reasons.iter().map(|r| format!("{}/{number}: {r}", service.name)));
        }
    }
    told
}

/// What a fall-back of a store means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fall {
    /// Nothing: no store has lost what the log has, and nobody has halted.
    None,
    /// A store has lost what the log has, and not all instances have noticed it yet.
    Unnoticed,
    /// Every instance stands still, as it must (P8).
    Halted,
    /// An instance stands still without a reason.
    Unfounded,
}

pub(super) fn fall(crowd: &Crowd) -> Fall {
    let mut fall = Fall::None;
    for (number, service) in crowd.core.services.iter().enumerate() {
        let halts: Vec<bool> = crowd.instances()[number]
            .iter()
            .map(|i| i.as_ref().is_some_and(|i| is_halted(&i.health().reasons)))
            .collect();
        let fell_back = crowd.core.witness().fell_back(number);
        if !fell_back {
            if halts.contains(&true) {
                return Fall::Unfounded;
            }
            continue;
        }
        if contradicted(crowd, service) {
            let all = !halts.is_empty() && !halts.contains(&false);
            fall = if all { Fall::Halted } else { Fall::Unnoticed };
        }
    }
    fall
}

fn is_halted(reasons: &[String]) -> bool {
    reasons.iter().any(|reason| reason.starts_with("halted"))
}

/// Whether the log has what its service's store does not.
pub(super) fn contradicted(crowd: &Crowd, service: &ServiceCore) -> bool {
    (0..service.lanes).map(Lane).any(|lane| {
        let source = SourceLane { topic: service.topic.clone(), lane };
        let events = lane_of(&service.store, lane);
        let back = crowd.core.log.read_back(&source, usize::MAX).now_or_never();
        let records = back.and_then(Result::ok).map(|back| back.records).unwrap_or_default();
        records.iter().any(|record| {
            let seq = record::lane_seq(&record.headers).unwrap_or(0);
            let stored = usize::try_from(seq).ok().and_then(|s| events.get(s.wrapping_sub(1)));
            stored.map(|event| event.id) != id_of(record)
        })
    })
}

/// No lane of the log has two events under one number: nobody published over what a store lost.
pub(super) fn published_over(crowd: &Crowd) -> Option<Broken> {
    for service in &crowd.core.services {
        for lane in (0..service.lanes).map(Lane) {
            let source = SourceLane { topic: service.topic.clone(), lane };
            let back = crowd.core.log.read_back(&source, usize::MAX).now_or_never()?.ok()?;
            let mut ids = BTreeMap::new();
            for record in &back.records {
                let seq = record::lane_seq(&record.headers).unwrap_or(0);
                let other = ids.insert(seq, id_of(record));
                if other.is_some_and(|other| other != id_of(record)) {
                    let told = format!("{source} has two events under number {seq}");
                    return Some(Broken::invariant("nobody publishes over a lost event", told));
                }
            }
        }
    }
    None
}
