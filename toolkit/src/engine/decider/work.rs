//! What the decider works on.

use std::sync::Arc;

use super::job::Job;
use crate::{
    engine::lanes::Mark,
    id::SourceLane,
    log::record::Message,
    runtime::Timestamp,
    store::{HeldMessage, HeldState},
};

/// One unit that is decided and committed whole, and decided again whole.
#[derive(Debug)]
pub(crate) enum Work {
    /// A message of a lane.
    Message(Box<Fresh>),
    /// A record that could not be read: stored with its reason.
    Unreadable { held: Box<HeldMessage>, mark: Mark },
    /// A record that needs no handler: the position steps over it.
    Skip { source: SourceLane, mark: Mark },
    /// Held messages of one key whose time has come.
    Retry(Box<RetryGroup>),
    /// A command from outside.
    Command(Box<dyn Job>),
}

/// A message as it came from its lane.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) message: Message,
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
            Self::Skip { source, .. } => Some(source),
            Self::Retry(group) => Some(&group.source),
            Self::Command(_) => None,
        }
    }

    /// The owner's epoch under which it was taken.
    pub(crate) fn epoch(&self) -> u64 {
        match self {
            Self::Retry(group) => group.epoch,
            work => work.mark().map_or(0, |mark| mark.epoch),
        }
    }

    /// How far its lane has come with it.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        match self {
            Self::Message(fresh) => Some(&fresh.mark),
            Self::Unreadable { mark, .. } | Self::Skip { mark, .. } => Some(mark),
            Self::Retry(_) | Self::Command(_) => None,
        }
    }
}
