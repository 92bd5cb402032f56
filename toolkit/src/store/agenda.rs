//! The agenda: what is to be done at a time, by whichever instance is there (P13, P14).
//!
//! Deadlines and effects are rows. They are written by the append of the turn that asked for them, taken by
//! a claim that lasts for a while, and ended by the append of what came of them.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod plan;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use uuid::Uuid;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) use self::plan::{AgendaPlan, Tried};
use super::EventType;
use crate::{
    id::{AgendaId, SagaId},
    runtime::Timestamp,
};

/// What an item of the agenda is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AgendaKind {
    /// An event that comes back at its time. One of a name and a key at most.
    Deadline,
    /// A request to the world outside.
    Effect,
}

impl AgendaKind {
    /// Its name in the tables of every store, and in causation ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Effect => "effect",
        }
    }

    /// Reads a name back. The tables allow no other names.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn named(name: &str) -> Self {
        match name {
            "deadline" => Self::Deadline,
            _ => Self::Effect,
        }
    }
}

/// Whether an item is still to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgendaState {
    /// To be done when it is due.
    Pending,
    /// It will not succeed by itself; a person decides.
    Dead,
}

impl AgendaState {
    /// Its name in the tables of every store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }

    /// Reads a name back. The tables allow no other names.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn named(name: &str) -> Self {
        match name {
            "pending" => Self::Pending,
            _ => Self::Dead,
        }
    }
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgendaItem {
    /// A deadline's follows from its name and key; an effect's from its cause: deciding again gives the
    /// same one.
    pub id: AgendaId,
    /// What it is.
    pub kind: AgendaKind,
    /// The event type of the deadline, or of the effect's request.
    pub name: EventType,
    /// The business key.
    pub key: Arc<str>,
    /// The saga.
    pub saga: SagaId,
    /// What asked for it: the `ce_id` of a message, the id of a command, or another item's.
    pub causation: String,
    /// The `traceparent` to continue from here.
    pub trace: Option<Arc<str>>,
    /// The deadline's event, or the effect's request.
    pub payload: Bytes,
    /// When it was asked for.
    pub set_at: Timestamp,
    /// When it is to be done, or tried again.
    pub due: Timestamp,
    /// Whether it is still to be done.
    pub state: AgendaState,
    /// How often it was tried.
    pub attempts: u32,
    /// An effect: it may have reached the outside, and nobody has heard what came of it. As read by a claim:
    /// whether it was so before the claim.
    pub begun: bool,
    /// An effect: what came of it, while its handler has not succeeded yet.
    pub outcome: Option<Bytes>,
    /// The last error, with its sources; empty when there was none.
    pub reason: String,
    /// Who may end it: made anew whenever it is set and whenever it is claimed.
    pub token: Uuid,
}

/// A change of the agenda in an append.
///
/// The store does the endings ([`Done`](Self::Done), [`Update`](Self::Update)) first, then the
/// [`Clear`](Self::Clear)s, then the [`Put`](Self::Put)s; an id occurs at most once in each of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgendaChange {
    /// Puts an item there, unclaimed, in the place of one with the same id.
    Put(Box<AgendaItem>),
    /// Takes an item away, whoever has claimed it. No error when there is none.
    Clear(AgendaId),
    /// It is done, and goes. It must be there with this token.
    Done {
        /// Which.
        id: AgendaId,
        /// The token under which it was claimed.
        token: Uuid,
    },
    /// It was tried, and is not done. It must be there with this token; its claim ends.
    Update {
        /// Which.
        id: AgendaId,
        /// The token under which it was claimed.
        token: Uuid,
        /// When to try again.
        due: Timestamp,
        /// Whether it is still to be done.
        state: AgendaState,
        /// How often it was tried.
        attempts: u32,
        /// Whether it may have reached the outside.
        begun: bool,
        /// What came of it, if that is known.
        outcome: Option<Bytes>,
        /// Why it is not done.
        reason: String,
    },
}

impl AgendaChange {
    /// The item's id.
    #[must_use]
    pub fn id(&self) -> AgendaId {
        match self {
            Self::Put(item) => item.id,
            Self::Clear(id) | Self::Done { id, .. } | Self::Update { id, .. } => *id,
        }
    }
}

/// A request for items that are due.
#[derive(Clone, Debug)]
pub struct AgendaClaim {
    /// Of this kind.
    pub kind: AgendaKind,
    /// Of these names: an instance takes what it knows.
    pub names: Vec<EventType>,
    /// Due at this time or before, by the caller's clock.
    pub now: Timestamp,
    /// The token that they get.
    pub token: Uuid,
    /// How long the claim keeps others away, by the store's own clock. It is for liveness; the token is for
    /// safety.
    pub lease: Duration,
    /// At most so many, the earliest first.
    pub limit: usize,
}

/// Which items to show to a person.
#[derive(Clone, Debug, Default)]
pub struct AgendaQuery {
    /// Only those in this state.
    pub state: Option<AgendaState>,
    /// Only those of this saga.
    pub saga: Option<SagaId>,
    /// At most so many, by due time.
    pub limit: usize,
}
