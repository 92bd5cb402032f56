//! The log port: topics with partitions, transactional publishing, consumer groups.
//!
//! An implementation passes `quadrille::testing::log_conformance` (feature `testing`).

mod headers;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod partition;
pub mod record;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    id::{Lane, LaneSeq, SourceLane},
    runtime::Timestamp,
    store::BoxError,
};

pub(crate) use headers::Builder as HeadersBuilder;
#[cfg(feature = "kafka")]
pub(crate) use headers::Known;
pub use headers::{HeaderRef, Headers};

/// A record header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Bytes,
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// The partition.
    pub lane: Lane,
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The headers, in order.
    pub headers: Headers,
    /// The record's time.
    pub time: Timestamp,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The topic and partition.
    pub source: SourceLane,
    /// Its offset. Offsets are not dense: transactions leave marks.
    pub offset: i64,
    /// The key; empty when there is none.
    pub key: Bytes,
    /// The value; empty when there is none.
    pub value: Bytes,
    /// The headers.
    pub headers: Headers,
    /// The record's time.
    pub time: Timestamp,
}

/// A topic as a service needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions.
    pub lanes: u32,
    /// The largest record, in bytes, that must fit.
    pub record_bytes_max: usize,
}

/// The end of a partition, read backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backwards {
    /// The last committed records, oldest first.
    pub records: Vec<LogRecord>,
    /// Whether there is nothing before them: retention or the start of the log.
    pub from_start: bool,
    /// The first offset that is still there; above 0 when retention has removed records.
    pub start_offset: i64,
    /// The partition's end: the offset after its last record or mark.
    pub end_offset: i64,
    /// Whether the last stable offset is the end: no transaction is open.
    pub stable: bool,
    /// Which topic this is: a topic that was made again has another id.
    pub topic_id: String,
}

/// Where a number stands in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// At this offset.
    At(i64),
    /// Nowhere; the first number that the lane holds is given, if it holds any.
    Missing {
        /// The first number of the lane.
        first: Option<LaneSeq>,
    },
}

/// What a subscription brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// These lanes are ours now. Nothing comes from them before [`Subscription::seek`].
    Assigned(Vec<SourceLane>),
    /// These lanes are ours no more. For liveness only: epochs are what keeps us safe (P9).
    Revoked(Vec<SourceLane>),
    /// Committed records, in order within each lane; possibly of several lanes.
    Records(Vec<LogRecord>),
}

/// Why the log could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It may answer later.
    #[error("the log is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// The topic is not what the service needs. The text says which setting to change.
    #[error("the topic {topic} does not fit: {reason}")]
    Mismatch {
        /// The topic.
        topic: String,
        /// What to change.
        reason: String,
    },
    /// Another producer with this transactional id came after us, or this member was put out.
    #[error("fenced by a later owner of {0:?}")]
    Fenced(String),
}

/// Why a transaction is in doubt: it may or may not be in the log. The publisher is gone; a new one has
/// a new epoch, and the log's own tail tells what was committed (P6, P7).
#[derive(Debug, thiserror::Error)]
#[error("a transaction is in doubt: {reason}")]
pub struct Doubt {
    /// What happened.
    pub reason: String,
    /// A later owner has fenced us: go and ask for the lease before trying again.
    pub fenced: bool,
}

/// A log of topics with partitions.
///
/// # Contract
/// * *Order.* The records of a partition have increasing offsets, and every reader sees that order.
/// * *Read committed.* Readers never see a record of an open or aborted transaction, and in each
///   partition see those of a committed one all or not at all. They read up to the last stable offset.
///   Over several partitions it becomes visible in all, but perhaps not at the same moment.
/// * *Fencing.* [`publisher`](Self::publisher) ends every earlier publisher of the id: its open
///   transaction is aborted (or finished, when its commit was decided), and it cannot write again.
/// * *Threads.* All methods may be called from any task at the same time. None blocks its thread.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug + 'static {
    /// Makes the topic, or checks that it fits. Compacted topics are refused (P6). Idempotent.
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError>;

    /// How many partitions a topic has.
    async fn lanes_of(&self, topic: &str) -> Result<u32, LogError>;

    /// A publisher with a new epoch for this transactional id; the former one is fenced.
    async fn publisher(
        &self,
        transactional_id: &str,
        topic: &str,
    ) -> Result<Box<dyn Publisher>, LogError>;

    /// The last committed records of a partition: `count`, or all when there are fewer.
    async fn read_back(&self, source: &SourceLane, count: usize) -> Result<Backwards, LogError>;

    /// Looks up the record with this lane number (P3: before a gap is called a loss).
    async fn find(&self, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError>;

    /// Joins a consumer group. The group only spreads the lanes over its members.
    async fn subscribe(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Box<dyn Subscription>, LogError>;
}

/// A transactional producer of one epoch.
#[async_trait]
pub trait Publisher: Send + fmt::Debug {
    /// Publishes the records in one transaction, in order. When it returns `Ok`, they are committed.
    ///
    /// On doubt the publisher is consumed (P7): after an abort, an error or an unknown outcome, going
    /// on with the same epoch could let a late end of this transaction end a later one.
    async fn publish(self: Box<Self>, records: Vec<NewRecord>)
    -> Result<Box<dyn Publisher>, Doubt>;

    /// How long the next transaction had better wait after this one's commit, where a log is still busy with it
    /// when it answers. The relay adds to its next round meanwhile.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }

    /// Ends what hangs in these lanes: writes into each, in a transaction of its own that it aborts.
    ///
    /// A log may say that it has ended an earlier publisher's transaction, and leave a partition without the
    /// mark of it (a broker that dies between decision and marks). Nothing ends such a one, and nobody reads
    /// beyond it. A mark of the same id ends it, as aborted. That loses nothing, whatever was decided: no reader
    /// of committed records has seen what it holds, and the log's tail tells what is to be published (P6).
    ///
    /// What another transactional id has open is not touched. The publisher is consumed, as by every abort (P7): a
    /// new one waits until the marks are written.
    async fn abort_hanging(self: Box<Self>, lanes: &[Lane]) -> Result<(), Doubt>;
}

/// A member of a consumer group.
///
/// # Contract
/// [`next`](Self::next) may be dropped before it is ready without losing anything. Dropping the
/// subscription leaves the group. While the member does not call `next`, nothing piles up beyond one
/// named limit: slowness passes backwards.
#[async_trait]
pub trait Subscription: Send + fmt::Debug {
    /// Waits for the next delivery; at most `max` records.
    async fn next(&mut self, max: usize) -> Result<Delivery, LogError>;

    /// Reads the lane from this offset on; what lies before the start of the log is skipped. An offset
    /// beyond the end is of another log, or of a lost tail: it begins at the start, for what comes twice
    /// is harmless, and what is passed over is not (P3). Ends a pause. Without effect on a lane that is
    /// not ours: it may have been taken away a moment ago.
    async fn seek(&mut self, source: &SourceLane, offset: i64) -> Result<(), LogError>;

    /// Brings nothing more from the lane until the next [`seek`](Self::seek).
    async fn pause(&mut self, source: &SourceLane) -> Result<(), LogError>;

    /// Tells the group how far the lane was applied: for lag tools only, never read by us (P2).
    async fn note_progress(
        &mut self,
        source: &SourceLane,
        next_offset: i64,
    ) -> Result<(), LogError>;

    /// Tells which event types are wanted. Of a record that has a lane number and another type, a log may from
    /// now on bring no more than [`glance`](record::glance) looks at: no other header, no key, no value. What was
    /// read before still comes as it is.
    fn narrow(&mut self, _types: &[String]) {}

    /// Tells at any time whether the log still answers, where the subscription can know: a broker that
    /// hangs gives no error, and nothing to read, as one that is idle.
    fn contact(&self) -> Option<Arc<dyn Contact>> {
        None
    }
}

/// Whether those at the other end still answer. Asked for readiness; it does not wait.
pub trait Contact: Send + Sync + fmt::Debug {
    /// For how long nothing was heard, in words; `None` when all is well.
    fn silence(&self) -> Option<String>;
}
