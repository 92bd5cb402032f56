//! The store port: streams, lanes, positions, causes, held messages, leases.
//!
//! The store is the truth. Everything that a cause changes is one [`Append`], and an append is one
//! transaction (P1). An implementation passes `quadrille::testing::store_conformance` (feature `testing`).

mod agenda;
mod append;
mod held;
pub mod layer;
// The stores use all of these; a build need not have one.
#[cfg_attr(not(all(feature = "sqlite", feature = "postgres")), allow(dead_code))]
mod letters;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
mod position;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code))]
mod reason;
mod relayed;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

pub use agenda::{AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AgendaQuery, AgendaState};
pub use append::{
    Answer, Append, AppendError, Appended, Gap, InboxEntry, NewEvent, NewSnapshot, Route,
};
use async_trait::async_trait;
use bytes::Bytes;
pub use held::{HeldChange, HeldHead, HeldMessage, HeldState};
pub use letters::{
    Action, Letter, LetterCounts, LetterId, NewRuling, NotALetter, Ruled, Ruling, RulingQuery,
};
pub use position::{Claim, Claimed, Position, PositionMove, StartAt};
pub use reason::REASON_BYTES_MAX;
pub use relayed::{Floor, Lease, Registered, Registration, ShardChange};

use crate::{
    id::{CauseId, EventId, Lane, LaneSeq, SagaId, SourceLane, StreamId, Version},
    runtime::Timestamp,
};

/// The name of an event type. Static for the types that this program knows.
pub type EventType = Cow<'static, str>;

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its id, unique everywhere.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its dense number in the stream, from 1.
    pub version: Version,
    /// Its type name.
    pub event_type: EventType,
    /// Its payload, exactly as it was decided.
    pub payload: Bytes,
    /// The saga.
    pub saga: SagaId,
    /// What caused it: the `ce_id` of a message, or the id of a command.
    pub causation: String,
    /// When it was decided.
    pub time: Timestamp,
    /// The context of the span that decided it, to continue from: the `traceparent`, and on further lines
    /// `tracestate` and `baggage`, where the caller sent them.
    pub trace: Option<Arc<str>>,
    /// Set for public events.
    pub published: Option<Published>,
}

/// Where a public event goes on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The output partition.
    pub lane: Lane,
    /// The dense number in the lane, from 1.
    pub lane_seq: LaneSeq,
    /// The business key.
    pub key: Arc<str>,
}

/// Which part of a stream to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRead {
    /// The stream.
    pub stream: StreamId,
    /// Snapshots of this version of the state's shape may be used.
    pub snapshot_version: u32,
}

/// A stream as it was read: a snapshot if there is one, and the events after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSlice {
    /// The newest snapshot of the asked shape: its stream version and the state.
    pub snapshot: Option<(Version, Bytes)>,
    /// The events after the snapshot, in order.
    pub events: Vec<RecordedEvent>,
    /// The stream's head; 0 when there is no such stream.
    pub version: Version,
    /// The saga of the stream's first event: what later commands on the stream inherit.
    pub first_saga: Option<SagaId>,
}

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It may answer later: not reachable, too busy, out of time.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// What is stored contradicts what is asked: another service's store, another number of lanes, a
    /// schema from a newer version. Nothing but a person can mend it.
    #[error("the store does not fit: {0}")]
    Mismatch(String),
    /// What is stored cannot be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// Any error of an adapter's driver.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The event store of one service.
///
/// # Contract
/// * *Atomic and durable.* When [`append`](Self::append) returns `Ok`, all of it is durable (P15); when
///   it returns an error other than [`AppendError::Unknown`], none of it is there.
/// * *Dense.* Versions in a stream and numbers in a lane are dense from 1, also under concurrent
///   writers and rollbacks (P5). What a reader of a lane sees is a prefix: it never grows in the middle.
/// * *Locks* are taken sorted: positions, lane counters, stream heads.
/// * *Threads.* All methods may be called from any task at the same time, and from several processes.
/// * *Cancellation.* A dropped `append` may or may not have happened; ask [`outcome`](Self::outcome).
#[async_trait]
pub trait EventStore: Send + Sync + fmt::Debug + 'static {
    /// Takes the store for a service, or checks that it belongs to it: name, lanes and shards are fixed
    /// at the first registration.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when the store belongs to another service or has other lanes.
    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError>;

    /// Reads streams, in one round trip; a stream that does not exist is an empty slice. The answers
    /// are in the order of the question.
    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError>;

    /// Appends: checks causes, positions, the inbox, held messages, the agenda and reads, in this order, and
    /// writes all or nothing.
    ///
    /// The reasons that it brings are texts of any origin: a NUL in one is kept as `␀` (U+2400), and what is
    /// longer than [`REASON_BYTES_MAX`] is cut. So it is with who rules, and with the note.
    ///
    /// Lane numbers are given out in the order of `append.events`.
    async fn append(&self, append: &Append) -> Result<Appended, AppendError>;

    /// Whether the append with this cause was committed, after [`AppendError::Unknown`] (P17), and
    /// the lane numbers that it got.
    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError>;

    /// The stored answer of a command, if it was decided before (P17).
    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError>;

    /// Takes lanes over: raises the owner's epoch of each (P2), makes missing positions (P3), and reads
    /// positions and held messages in one snapshot (P11). The answers are in the order of the question.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError>;

    /// How far every source lane was applied, sorted by lane: for people and for lag tools.
    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError>;

    /// The held messages of one key of a lane that wait for each other, in order, at most `limit`: not those
    /// set aside.
    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError>;

    /// All held messages of the service in a given state, oldest first, at most `limit`: for people.
    async fn held_in(&self, state: HeldState, limit: usize)
    -> Result<Vec<HeldMessage>, StoreError>;

    /// The held messages of a saga, oldest first, at most `limit`: for people.
    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError>;

    /// The events of a saga in this store, as they were appended, at most `limit`: for people. It may read
    /// everything since the saga began.
    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// A letter, dead or not: for people.
    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError>;

    /// Does what a person has ruled on a dead letter, and records it, in one transaction. Running engines
    /// see it by looking at [`rulings`](Self::rulings).
    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError>;

    /// Rulings, by number.
    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError>;

    /// How many letters are dead: for people, and for `/metrics`.
    async fn count_letters(&self) -> Result<LetterCounts, StoreError>;

    /// The gaps that were recorded when lanes were first read (P3), by lane and number, at most `limit`:
    /// for people.
    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError>;

    /// Claims items of the agenda that are due: gives them the claim's token, marks effects as begun, and
    /// keeps other claims away until the lease has expired by the store's own clock. The items come with
    /// the new token, and with what else stood there before the claim.
    ///
    /// An item whose lease has expired can be claimed anew: its old token is void then. One that another
    /// append is changing at this moment may be passed over; it is there for the next claim.
    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError>;

    /// Items of the agenda, by due time: for people.
    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError>;

    /// The last number given out in each lane, for all lanes in order.
    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError>;

    /// The events of a lane with a number above `after`, in order, at most `limit`.
    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The floor of a lane: how far it was published before retention emptied the partition (P6).
    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError>;

    /// Writes a floor; an older one of the lane is replaced. A newer one of the same topic stays: a
    /// relay that was fenced may still say how far it had come.
    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError>;

    /// Takes a lease for `ttl` from now, or extends it when `holder` has it. `None` while another has it.
    /// Expiry is by the store's own clock (P9).
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives a lease back. No error when it was lost before.
    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError>;

    /// Begins a change of the number of relay shards (P9): closes the map of lanes to shards. Whoever
    /// finds it closed, because who closed it has died, begins anew.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when no service has registered here.
    async fn close_shards(&self) -> Result<ShardChange, StoreError>;

    /// Ends a change, once all ids of the old map and the new are fenced: `shards` are in force from now
    /// on. False when another change has begun since, or this one has ended: nothing is changed then.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] for no shards.
    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError>;

    /// Forgets causes that are older than `before`, at most `limit`; returns how many. Their answers are
    /// gone then.
    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// Forgets events of foreign producers that were taken before `before` (P4), at most `limit`; returns
    /// how many. Should one come again, it is taken for new.
    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}
