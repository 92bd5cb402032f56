//! What passed through the ports, noted beside the engine: what is checked at the end must not rest on
//! what the engine says of itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    chance::StableHash,
    core::Core,
    order::{Handled, Place},
    report::Broken,
};
use crate::{
    barrier,
    id::{EventId, LaneSeq, SourceLane},
    log::{
        LogRecord,
        record::{header, lane_seq, name},
    },
    store::{Append, Appended, NewEvent, RecordedEvent},
};

#[derive(Debug, Default)]
struct OfService {
    appends: u64,
    /// Appends that were refused since the last one that was not.
    refused: u64,
    /// What brought an event, and where it stands. Events of a lost tail stay: they were committed once.
    brought: HashMap<EventId, Brought>,
    /// How far each key was handled.
    handled: Handled,
    /// How far each lane was applied.
    applied: BTreeMap<SourceLane, LaneSeq>,
    /// The store fell back: what was noted no longer binds it.
    fell_back: bool,
    /// A fall-back lost something.
    lost: bool,
}

#[derive(Debug)]
struct Brought {
    append: u64,
    /// Where a public event stands.
    place: Option<Place>,
}

#[derive(Debug)]
pub(super) struct Witness {
    hash: StableHash,
    services: Vec<OfService>,
    /// Records that readers saw.
    pub(super) delivered: u64,
}

impl Witness {
    pub(super) fn new(services: usize) -> Self {
        let services = (0..services).map(|_| OfService::default()).collect();
        Self { hash: StableHash::new(), services, delivered: 0 }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.value()
    }

    /// The service's store is an earlier one from now on.
    pub(super) fn fall_back(&mut self, service: usize, appends_then: u64) {
        let of = &mut self.services[service];
        of.fell_back = true;
        of.lost |= appends_then < of.appends;
        of.applied.clear();
    }

    /// How many appends were refused in a row by now.
    pub(super) fn note_attempt(&mut self, service: usize, appended: bool) -> u64 {
        let of = &mut self.services[service];
        of.refused = if appended { 0 } else { of.refused + 1 };
        of.refused
    }

    pub(super) fn appends(&self, service: usize) -> u64 {
        self.services[service].appends
    }

    /// Whether a store has lost what was committed.
    pub(super) fn lost_something(&self) -> bool {
        self.services.iter().any(|of| of.lost)
    }

    pub(super) fn fell_back(&self, service: usize) -> bool {
        self.services[service].fell_back
    }

    /// The number of the append that brought an event.
    pub(super) fn brought(&self, service: usize, event: EventId) -> Option<u64> {
        self.services[service].brought.get(&event).map(|brought| brought.append)
    }

    fn note_event(&mut self, service: usize, event: &NewEvent, place: Option<Place>) {
        self.hash.bytes(event.id.0.as_bytes());
        self.hash.text(event.stream.as_str());
        self.hash.number(event.version);
        self.hash.text(&event.event_type);
        self.hash.bytes(&event.payload);
        let of = &mut self.services[service];
        of.brought.insert(event.id, Brought { append: of.appends, place });
    }

    /// Takes in the events, and what they show of the order within keys (P11).
    fn note_events(
        &mut self,
        service: usize,
        append: &Append,
        appended: &Appended,
    ) -> Option<String> {
        let mut next: BTreeMap<_, _> = appended.first_in_lane.iter().copied().collect();
        let of = &mut self.services[service];
        append.held.iter().for_each(|change| of.handled.note_held(change));
        let mut wrong = None;
        for event in &append.events {
            let place = event.route.as_ref().and_then(|route| {
                let seq = next.get_mut(&route.lane)?;
                *seq += 1;
                Some(Place { service, lane: route.lane, seq: *seq - 1, key: route.key.clone() })
            });
            wrong = wrong.or_else(|| self.overtakes(service, event));
            self.note_event(service, event, place);
        }
        wrong
    }

    fn overtakes(&mut self, service: usize, event: &NewEvent) -> Option<String> {
        let cause: EventId = event.causation.parse().ok()?;
        let mut from = self.services.iter().filter(|of| !of.fell_back);
        let place = from.find_map(|of| of.brought.get(&cause)?.place.clone())?;
        let of = &mut self.services[service];
        if of.fell_back { None } else { of.handled.handles(cause, place) }
    }

    /// Each number of a lane is applied once, in order (P2, P3): where an append goes on is where the last
    /// one ended.
    fn note_moves(&mut self, service: usize, append: &Append) -> Option<String> {
        let of = &mut self.services[service];
        let mut wrong = None;
        for step in &append.positions {
            let last = of.applied.insert(step.source.clone(), step.to);
            // A lane whose first number had expired starts beyond 1; its gap says so.
            let starts = last.is_none() && (of.fell_back || !append.gaps.is_empty());
            if last.unwrap_or(0) != step.from && !starts {
                let (source, last) = (&step.source, last.unwrap_or(0));
                wrong = Some(format!(
                    "{source} was applied up to {last}, and an append goes on from {} to {}",
                    step.from, step.to
                ));
            }
        }
        wrong
    }
}

/// An append is durable.
pub(super) fn appended(
    core: &Arc<Core>,
    service: usize,
    place: &str,
    append: &Append,
    appended: &Appended,
) {
    let (wrong, overtaken) = {
        let mut witness = core.witness();
        witness.services[service].appends += 1;
        (witness.note_moves(service, append), witness.note_events(service, append, appended))
    };
    core.changed();
    core.note(place, "appended", append.events.len() as u64);
    tell(core, place, append, appended);
    if let Some(wrong) = wrong {
        core.fail(Broken::invariant("every message is applied once", wrong));
    }
    if let Some(overtaken) = overtaken {
        core.fail(Broken::invariant("within a key nothing overtakes", overtaken));
    }
}

fn tell(core: &Arc<Core>, place: &str, append: &Append, appended: &Appended) {
    let mut next: BTreeMap<_, _> = appended.first_in_lane.iter().copied().collect();
    for event in &append.events {
        let route = event.route.as_ref().and_then(|route| {
            let seq = next.get_mut(&route.lane)?;
            *seq += 1;
            Some(format!("  ({:?}: {})", route.lane, *seq - 1))
        });
        let stream = event.stream.as_str();
        let steps = stream.starts_with(barrier::PARTICIPATION) && event.route.is_none();
        let text = || {
            let payload = String::from_utf8_lossy(&event.payload);
            format!(
                "{} {stream} v{}{} {}",
                event.event_type,
                event.version,
                route.unwrap_or_default(),
                cut(&payload)
            )
        };
        if steps {
            core.tell_call(place, text);
        } else {
            core.tell(place, text);
        }
    }
    for held in &append.held {
        core.tell(place, || format!("held: {}", told(held)));
    }
}

fn told(change: &crate::store::HeldChange) -> String {
    use crate::store::HeldChange as Change;
    match change {
        Change::Hold(m) => format!("{} {} is {:?}: {}", m.event_type, m.key, m.state, m.reason),
        Change::Release { id, .. } => format!("{id} is handled"),
        Change::Update { id, state, reason, .. } => format!("{id} is {state:?}: {reason}"),
    }
}

/// As much of a payload as a line can take.
fn cut(payload: &str) -> String {
    const CHARS_MAX: usize = 90;
    match payload.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &payload[..at]),
        None => payload.to_owned(),
    }
}

/// Records reach a reader: each must be an event that its service's store has committed (P15).
pub(super) fn delivered(core: &Arc<Core>, place: &str, records: &[LogRecord]) {
    let mut unknown = None;
    for record in records {
        let seq = lane_seq(&record.headers).unwrap_or(0);
        core.note(place, &record.source.topic, seq);
        let Some(service) = core.services.iter().position(|s| s.topic == record.source.topic)
        else {
            continue;
        };
        let mut witness = core.witness();
        witness.delivered += 1;
        let id = header(&record.headers, name::ID)
            .and_then(|id| std::str::from_utf8(id).ok()?.parse::<EventId>().ok());
        if id.is_none_or(|id| witness.brought(service, id).is_none()) {
            unknown = Some(format!("{} number {seq} ({id:?}) at {place}", record.source));
        }
    }
    core.tell_call(place, || {
        let told = records.iter().map(|r| format!("{}:{}", r.source, r.offset));
        format!("  delivered {}", told.collect::<Vec<_>>().join(" "))
    });
    if let Some(unknown) = unknown {
        core.fail(Broken::invariant("nobody reads what no store has", unknown));
    }
}

/// All that one cause brought was brought by one append: it was applied once.
pub(super) fn causes_are_whole(
    core: &Core,
    service: usize,
    events: &[RecordedEvent],
) -> Option<String> {
    let witness = core.witness();
    let mut appends: BTreeMap<&str, (u64, &RecordedEvent)> = BTreeMap::new();
    // Each try of an effect is a cause of its own, and its outcome another; all bear the effect's name.
    for event in events.iter().filter(|event| event.event_type != barrier::EFFECT_TRIED) {
        let Some(append) = witness.brought(service, event.id) else { continue };
        let (first, other) = *appends.entry(&event.causation).or_insert((append, event));
        if first != append {
            return Some(format!(
                "{} was applied twice: {} {} v{}, and later {} {} v{}",
                event.causation,
                other.event_type,
                other.stream,
                other.version,
                event.event_type,
                event.stream,
                event.version
            ));
        }
    }
    None
}
