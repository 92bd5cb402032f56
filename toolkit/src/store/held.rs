//! Messages that are held back: waiting for a retry, behind another, or for a person (P11, P12).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::{
    id::{LaneSeq, SourceLane},
    runtime::Timestamp,
};

/// Why a message is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeldState {
    /// Its handler failed for a reason that may pass: it is tried again at `next_at`.
    Parked,
    /// It waits behind an earlier message of its key that is parked or dead.
    Waiting,
    /// It will not succeed; a person decides. The later ones of its key wait.
    Dead,
    /// It will not succeed; a person decides. The later ones of its key pass, as its handler wants it.
    Aside,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl HeldState {
    /// Its name in the tables of every store.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
            Self::Aside => "aside",
        }
    }

    /// Reads a name back. The tables allow no other names.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "parked" => Self::Parked,
            "waiting" => Self::Waiting,
            "aside" => Self::Aside,
            _ => Self::Dead,
        }
    }
}

/// A message that is held back, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMessage {
    /// The lane that brought it.
    pub source: SourceLane,
    /// The message's `ce_id`, or a hash of where it stood when it has none. Unique in the lane. For one of
    /// a foreign producer it is made from its `source` and `id`, which the headers show.
    pub id: String,
    /// The key behind which later ones wait; empty when it could not be read: nothing waits then.
    pub key: Arc<str>,
    /// Its number in the lane; 0 when it could not be read. One of a foreign producer has that of the last
    /// numbered event before it, 0 when there is none: number and offset order a key's messages.
    pub seq: LaneSeq,
    /// Its offset in the log.
    pub offset: i64,
    /// Its event type; empty when it could not be read.
    pub event_type: String,
    /// The saga, when it could be read.
    pub saga: Option<String>,
    /// The record's headers, as a JSON object; values that are no text are base64 under `name;base64`.
    pub headers: Bytes,
    /// The record's value.
    pub payload: Bytes,
    /// Why it is held.
    pub state: HeldState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first held.
    pub held_at: Timestamp,
    /// When it is to be tried again.
    pub next_at: Timestamp,
    /// The last error, with its sources.
    pub reason: String,
}

/// The first held message of a key: enough to know when to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldHead {
    /// The key.
    pub key: Arc<str>,
    /// The id of the first message.
    pub id: String,
    /// Its state.
    pub state: HeldState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried again.
    pub next_at: Timestamp,
}

/// A change of held messages in an append. Each comes with a position guard of its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldChange {
    /// Hold a message back. One that is held already (same lane and id) stays as it is.
    Hold(Box<HeldMessage>),
    /// It was handled: remove it. It must be there with this many attempts.
    Release {
        /// The lane.
        source: SourceLane,
        /// The message.
        id: String,
        /// The attempts that were read.
        attempts: u32,
    },
    /// It was tried and failed, or its turn has come: it must be there with `attempts`.
    Update {
        /// The lane.
        source: SourceLane,
        /// The message.
        id: String,
        /// The attempts that were read.
        attempts: u32,
        /// The attempts to store.
        new_attempts: u32,
        /// The state to store.
        state: HeldState,
        /// When to try again.
        next_at: Timestamp,
        /// Why.
        reason: String,
    },
}

impl HeldChange {
    /// The lane of the message.
    #[must_use]
    pub fn source(&self) -> &SourceLane {
        match self {
            Self::Hold(message) => &message.source,
            Self::Release { source, .. } | Self::Update { source, .. } => source,
        }
    }
}
