//! Identities: events, sagas, causes, streams and lanes.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest stream id, in bytes: `category/id`.
pub const STREAM_ID_BYTES_MAX: usize = 256;
/// The longest event key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// The longest `source`, and the longest `id`, of an event from a foreign producer, in bytes.
pub const FOREIGN_ID_BYTES_MAX: usize = 512;

/// A namespace of our own, so that nobody else's names give the same ids.
pub(crate) const OURS: Uuid = Uuid::from_u128(0x1f6b_8b1c_54a8_4a5e_9d7e_71d1_35a0_c0de);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// The id of one event (UUIDv7); `ce_id` on the log.
    EventId
}
uuid_id! {
    /// The id of a saga: the correlation id of every event that its first command caused.
    SagaId
}
uuid_id! {
    /// The id of a cause of an append: one batch of the intake, or one command (P17).
    CauseId
}

uuid_id! {
    /// The id of a deadline or an effect, made from its name and key, or from its cause.
    AgendaId
}

impl AgendaId {
    /// Names a thing the same way each time.
    pub(crate) fn named(name: &str) -> Self {
        Self(Uuid::new_v5(&OURS, name.as_bytes()))
    }
}

impl EventId {
    /// The id of an event whose producer chose its own: made from CloudEvents `source` and `id`, the same
    /// each time.
    pub(crate) fn foreign(source: &str, id: &str) -> Self {
        Self(Uuid::new_v5(&OURS, parts("event", source, id).as_bytes()))
    }
}

impl SagaId {
    /// The saga of a foreign event that names none of ours: made from its source and a text of the source's
    /// choice, the same each time.
    pub(crate) fn foreign(source: &str, text: &str) -> Self {
        Self(Uuid::new_v5(&OURS, parts("saga", source, text).as_bytes()))
    }
}

/// Two texts as one, so that no other two give the same.
fn parts(of: &str, first: &str, second: &str) -> String {
    format!("foreign {of}/{}/{first}/{second}", first.len())
}

/// A stream of events: the category (an aggregate's name) and the id in it, as `category/id`.
///
/// Cheap to clone. Ordered as text, which is the order in which stores take their locks.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Joins a category and an id.
    ///
    /// # Errors
    /// An empty part, a control character, or more than [`STREAM_ID_BYTES_MAX`] bytes.
    pub fn new(category: &str, id: &dyn fmt::Display) -> Result<Self, InvalidId> {
        let text = format!("{category}/{id}");
        let id_starts = category.len() + 1;
        check_text(&text[id_starts..], STREAM_ID_BYTES_MAX - id_starts.min(STREAM_ID_BYTES_MAX))?;
        Ok(Self(text.into()))
    }

    /// Takes back a stream id that a store wrote. No check: it was checked when it was made.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole id, `category/id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be an id or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// Nothing between the slashes.
    #[error("an id must not be empty")]
    Empty,
    /// `\0`, a line break or the like: databases and logs refuse or mangle them.
    #[error("the id {0:?} contains the control character {1:?}; use printable text")]
    Control(String, char),
    /// Longer than its named limit.
    #[error("an id of {bytes} bytes is longer than the limit of {limit} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Checks an id or a key: not empty, printable, not longer than `limit` bytes.
///
/// # Errors
/// Says which of the three it is.
pub fn check_text(text: &str, limit: usize) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > limit {
        return Err(InvalidId::TooLong { bytes: text.len(), limit });
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(InvalidId::Control(text.to_owned(), c)),
        None => Ok(()),
    }
}

/// One output partition of a service's topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lane(pub u32);

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lane {}", self.0)
    }
}

/// The dense number of an event in its lane, from 1.
pub type LaneSeq = u64;
/// The dense number of an event in its stream, from 1; 0 is the version of an empty stream.
pub type Version = u64;

/// A lane of another service's topic, as a consumer sees it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceLane {
    /// The topic, for example `demo.order.events`.
    pub topic: Arc<str>,
    /// Its partition.
    pub lane: Lane,
}

impl SourceLane {
    /// Names the lane of a topic.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, lane: Lane) -> Self {
        Self { topic: topic.into(), lane }
    }
}

impl fmt::Display for SourceLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.lane)
    }
}

impl fmt::Debug for SourceLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
