//! What the decider works on.

use std::sync::Arc;

use bytes::Bytes;

use super::job::Job;
use crate::{
    engine::lanes::Mark,
    id::SourceLane,
    log::record::Message,
    runtime::Timestamp,
    store::{AgendaItem, HeldMessage, HeldState, InboxEntry},
};

/// One unit that is decided and committed whole, and decided again whole.
#[derive(Debug)]
pub(crate) enum Work {
    /// A message of a lane.
    Message(Box<Fresh>),
    /// A record that could not be read: stored with its reason.
    Unreadable {
        held: Box<HeldMessage>,
        mark: Mark,
        /// What it is known by, when it comes from a foreign producer.
        foreign: Option<InboxEntry>,
    },
    /// A record that needs no handler: the position steps over it.
    Skip {
        source: SourceLane,
        mark: Mark,
        /// It was taken before (P4); else nobody here consumes it.
        repeated: bool,
    },
    /// Held messages of one key whose time has come.
    Retry(Box<RetryGroup>),
    /// A person has ruled on a dead message of this key: it is tried again.
    Ruled { source: SourceLane, key: Arc<str>, epoch: u64 },
    /// An item of the agenda whose time has come, or whose try has ended.
    Agenda(Box<AgendaWork>),
    /// A command from outside.
    Command(Box<dyn Job>),
}

/// A claimed item, and what is to become of it.
#[derive(Debug)]
pub(crate) struct AgendaWork {
    pub(crate) item: AgendaItem,
    pub(crate) step: AgendaStep,
    /// The store refuses what its handler decides: dead without being run again.
    pub(crate) poison: Option<String>,
}

/// What is to become of a claimed item.
#[derive(Clone, Debug)]
pub(crate) enum AgendaStep {
    /// Its event comes to the service's handler: the deadline itself, or the outcome of the effect.
    Deliver { event_type: &'static str, payload: Bytes },
    /// The try has failed; the next one is due then.
    Again { due: Timestamp, begun: bool, reason: String },
    /// The last try has failed: a person decides.
    Dead { begun: bool, reason: String },
}

/// A message as it came from its lane.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// Shared with the task that handles it.
    pub(crate) message: Arc<Message>,
    pub(crate) mark: Mark,
    /// The store refuses what its handler decides: dead without being run again.
    pub(crate) poison: Option<String>,
}

/// The first held messages of a key.
#[derive(Debug)]
pub(crate) struct RetryGroup {
    pub(crate) source: SourceLane,
    pub(crate) key: Arc<str>,
    pub(crate) messages: Vec<HeldMessage>,
    /// Whether there were no more when they were loaded.
    pub(crate) complete: bool,
    /// How many had been put behind them by then; more came since when this has grown.
    pub(crate) holds: u64,
    /// The owner's epoch under which they were loaded.
    pub(crate) epoch: u64,
    pub(crate) poison: Option<String>,
}

/// How a message came to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Lane,
    Held { attempts: u32, held_at: Timestamp, state: HeldState },
}

impl Via {
    /// How often it was tried before.
    pub(crate) fn attempts(self) -> u32 {
        match self {
            Self::Lane => 0,
            Self::Held { attempts, .. } => attempts,
        }
    }
}

impl Work {
    /// The lane that brought it, if one did.
    pub(crate) fn source(&self) -> Option<&SourceLane> {
        match self {
            Self::Message(fresh) => Some(&fresh.message.source),
            Self::Unreadable { held, .. } => Some(&held.source),
            Self::Skip { source, .. } | Self::Ruled { source, .. } => Some(source),
            Self::Retry(group) => Some(&group.source),
            Self::Agenda(_) | Self::Command(_) => None,
        }
    }

    /// The bytes that it brings from outside; what a command brings shows in what it decides.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Message(fresh) => fresh.message.payload.len(),
            Self::Unreadable { held, .. } => held.payload.len(),
            Self::Retry(group) => group.messages.iter().map(|held| held.payload.len()).sum(),
            Self::Agenda(work) => work.item.payload.len(),
            Self::Skip { .. } | Self::Ruled { .. } | Self::Command(_) => 0,
        }
    }

    /// What it is known by, when it comes from a foreign producer (P4). A retry was taken before.
    pub(crate) fn foreign(&self) -> Option<&InboxEntry> {
        match self {
            Self::Message(fresh) => fresh.message.foreign.as_ref(),
            Self::Unreadable { foreign, .. } => foreign.as_ref(),
            Self::Skip { .. }
            | Self::Retry(_)
            | Self::Ruled { .. }
            | Self::Agenda(_)
            | Self::Command(_) => None,
        }
    }

    /// The owner's epoch under which it was taken.
    pub(crate) fn epoch(&self) -> u64 {
        match self {
            Self::Retry(group) => group.epoch,
            Self::Ruled { epoch, .. } => *epoch,
            work => work.mark().map_or(0, |mark| mark.epoch),
        }
    }

    /// How far its lane has come with it.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        match self {
            Self::Message(fresh) => Some(&fresh.mark),
            Self::Unreadable { mark, .. } | Self::Skip { mark, .. } => Some(mark),
            Self::Retry(_) | Self::Ruled { .. } | Self::Agenda(_) | Self::Command(_) => None,
        }
    }
}
