//! One append: everything that commits together.

use bytes::Bytes;

use super::{AgendaChange, BoxError, EventType, HeldChange, PositionMove};
use crate::{
    id::{AgendaId, CauseId, EventId, Lane, LaneSeq, SagaId, SourceLane, StreamId, Version},
    runtime::Timestamp,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Everything that one batch changes; one transaction (P1).
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// What this append is known by when its outcome is unknown (P17). Unique in the store.
    pub cause: Option<CauseId>,
    /// When it was decided.
    pub at: Timestamp,
    /// Positions to move, each by compare-and-set (P2). A guard has `to == from`.
    pub positions: Vec<PositionMove>,
    /// The head of every stream that was read, also of those not written (P10). Each stream once.
    pub reads: Vec<(StreamId, Version)>,
    /// The events, in order. Every stream written is among `reads`, and versions follow on from there.
    pub events: Vec<NewEvent>,
    /// Answers of commands that carry an id of their own.
    pub answers: Vec<Answer>,
    /// Events of foreign producers that are taken with this append (P4), sorted, each once. They are
    /// remembered from `at` on.
    pub inbox: Vec<InboxEntry>,
    /// Messages to hold, to try again, to bury or to release (P11, P12).
    pub held: Vec<HeldChange>,
    /// Deadlines and effects that are set, cleared, done or tried again (P13, P14).
    pub agenda: Vec<AgendaChange>,
    /// States to start later reads from.
    pub snapshots: Vec<NewSnapshot>,
    /// Numbers that were missing on purpose when a lane was first read (P3).
    pub gaps: Vec<Gap>,
}

impl Append {
    /// What is wrong with this append in itself, whatever is stored. A store with `lanes` lanes refuses
    /// such an append as [`AppendError::Rejected`]: no later try can mend it.
    #[must_use]
    pub fn flaw(&self, lanes: u32) -> Option<String> {
        debug_assert!(self.held_is_guarded(), "held changes without a guard of their lane");
        debug_assert!(self.inbox.is_sorted_by(|a, b| a < b), "locks are taken sorted");
        self.position_flaw().or_else(|| self.event_flaw(lanes)).or_else(|| self.agenda_flaw())
    }

    fn position_flaw(&self) -> Option<String> {
        let mut lanes = HashSet::with_capacity(self.positions.len());
        for moved in &self.positions {
            if moved.to < moved.from {
                return Some(format!("{} moves backwards", moved.source));
            }
            if !lanes.insert(&moved.source) {
                return Some(format!("{} is moved twice", moved.source));
            }
        }
        None
    }

    /// Versions that do not follow on from a read would leave a stream with a hole.
    fn event_flaw(&self, lanes: u32) -> Option<String> {
        let mut heads = HashMap::with_capacity(self.reads.len());
        for (stream, version) in &self.reads {
            if heads.insert(stream, *version).is_some() {
                return Some(format!("{stream} is read twice"));
            }
        }
        for event in &self.events {
            let Some(head) = heads.get_mut(&event.stream) else {
                return Some(format!("{} is written and not read", event.stream));
            };
            if head.checked_add(1) != Some(event.version) {
                return Some(format!("{} goes from {head} to {}", event.stream, event.version));
            }
            *head = event.version;
            if let Some(route) = event.route.as_ref().filter(|r| r.lane.0 >= lanes) {
                return Some(format!("{:?} is not one of {lanes} lanes", route.lane));
            }
        }
        None
    }

    /// What is ended, cleared or put twice would have two outcomes.
    fn agenda_flaw(&self) -> Option<String> {
        let (mut endings, mut clears, mut puts) = <(HashSet<_>, HashSet<_>, HashSet<_>)>::default();
        let twice = |change: &&AgendaChange| {
            let seen = match change {
                AgendaChange::Done { .. } | AgendaChange::Update { .. } => &mut endings,
                AgendaChange::Clear(_) => &mut clears,
                AgendaChange::Put(_) => &mut puts,
            };
            !seen.insert(change.id())
        };
        let change = self.agenda.iter().find(twice)?;
        Some(format!("the item {} of the agenda is changed twice in one way", change.id()))
    }

    fn held_is_guarded(&self) -> bool {
        let guarded: HashSet<_> = self.positions.iter().map(|p| &p.source).collect();
        self.held.iter().all(|change| guarded.contains(change.source()))
    }
}

/// An event to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its version.
    pub version: Version,
    /// Its type name.
    pub event_type: EventType,
    /// Its payload bytes.
    pub payload: Bytes,
    /// The saga.
    pub saga: SagaId,
    /// What caused it.
    pub causation: String,
    /// When it was decided.
    pub time: Timestamp,
    /// The context of the span that decides it, to continue from: the `traceparent`, and on further lines
    /// `tracestate` and `baggage`, where the caller sent them.
    pub trace: Option<Arc<str>>,
    /// Set for public events: the store gives them the next number of the lane.
    pub route: Option<Route>,
}

/// Where a public event is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The output partition.
    pub lane: Lane,
    /// The business key.
    pub key: Arc<str>,
}

/// The answer of a command with an id of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The command's id.
    pub cause: CauseId,
    /// What was answered.
    pub body: Bytes,
}

/// An event of a foreign producer, by what CloudEvents knows it by (P4): `source` and `id` together are
/// unique in the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxEntry {
    /// `ce_source`: who states the event.
    pub source: Arc<str>,
    /// `ce_id`: the source's own name for it.
    pub id: Arc<str>,
}

/// A state to start later reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The stream.
    pub stream: StreamId,
    /// The version up to which it is folded.
    pub version: Version,
    /// The shape of the state.
    pub snapshot_version: u32,
    /// The state.
    pub state: Bytes,
}

/// Numbers of a source lane that had expired when a consumer started at what the topic still held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The lane.
    pub source: SourceLane,
    /// The first number that is missing.
    pub from: LaneSeq,
    /// The last one.
    pub to: LaneSeq,
}

/// What an append got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// For each lane that the append wrote to, the number of its first event there; sorted by lane.
    /// The others of the lane follow it densely, in the order of the append.
    pub first_in_lane: Vec<(Lane, LaneSeq)>,
    /// What the first event follows there: the id under the number before its own, for each of these
    /// lanes that had an event; sorted by lane. By it a relay sees that the store goes on from another
    /// event than the one it published (P8). Only `append` itself says it: an outcome that was asked for
    /// leaves it empty, and whoever misses a lane whose first number is above 1 must read the store.
    pub follows: Vec<(Lane, EventId)>,
}

/// Why an append was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A stream's head is not what was read (P10). Reload these streams and decide again. Empty when
    /// the store cannot say which (a deadlock, P5): reload all.
    #[error("conflict on {streams:?}")]
    Conflict {
        /// The streams whose heads have moved.
        streams: Vec<StreamId>,
    },
    /// A position is not what was expected, or has another owner (P2). Drop these lanes, and decide
    /// the others again.
    #[error("lost the lanes {lanes:?}")]
    PositionLost {
        /// The lanes.
        lanes: Vec<SourceLane>,
    },
    /// A cause has been used before (P17). Look up its answer.
    #[error("already done: {causes:?}")]
    AlreadyDone {
        /// The causes.
        causes: Vec<CauseId>,
    },
    /// Items of the agenda are not as they were claimed: another has them, or they were cleared or set
    /// anew. What was decided on them is void.
    #[error("agenda items {ids:?} have changed")]
    AgendaChanged {
        /// The items.
        ids: Vec<AgendaId>,
    },
    /// Events of foreign producers that were taken before (P4): all such of the append. Leave them out, and
    /// decide the others again.
    #[error("seen before: {entries:?}")]
    SeenBefore {
        /// Those that the inbox has.
        entries: Vec<InboxEntry>,
    },
    /// A held message is not as it was read: someone else has tried it, or a person has decided.
    #[error("held messages of {lanes:?} have changed")]
    HeldChanged {
        /// Their lanes; claim them again.
        lanes: Vec<SourceLane>,
    },
    /// The store refuses the data (SQLSTATE class 22 and the like): trying again cannot help. The
    /// engine bisects the batch, and the culprit is dead.
    #[error("the store refuses the data: {0}")]
    Rejected(#[source] BoxError),
    /// Surely not committed; it may work later.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// Committed or not: ask [`EventStore::outcome`](super::EventStore::outcome) (P17).
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(#[source] BoxError),
}
