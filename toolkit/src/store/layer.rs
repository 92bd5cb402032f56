//! A store with something around it: what watches it, delays it, or lets it fail.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    AgendaClaim, AgendaItem, AgendaQuery, Append, AppendError, Appended, Claim, Claimed,
    EventStore, Floor, Gap, HeldMessage, HeldState, Lease, Letter, LetterCounts, LetterId,
    NewRuling, Position, RecordedEvent, Registered, Registration, Ruled, Ruling, RulingQuery,
    ShardChange, StoreError, StreamRead, StreamSlice,
};
use crate::{
    id::{CauseId, Lane, LaneSeq, SagaId, SourceLane},
    runtime::Timestamp,
};

/// The trait and what makes a store of it need the same list of calls.
macro_rules! layer {
    ($($call:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// An [`EventStore`] around another: it says what it does differently, and passes on the rest.
        ///
        /// # Contract
        /// What is around a store keeps the store's contract: it may add time and errors, and looks at what goes
        /// through; an answer comes from the store beneath.
        ///
        /// A module that calls such a store imports [`EventStore`]; with both traits in scope a call could mean
        /// either.
        ///
        /// ```
        /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
        ///
        /// use async_trait::async_trait;
        /// use quadrille::store::{Append, AppendError, Appended, EventStore, layer::StoreLayer};
        ///
        /// #[derive(Debug)]
        /// struct Counting {
        ///     store: Arc<dyn EventStore>,
        ///     events: AtomicU64,
        /// }
        ///
        /// #[async_trait]
        /// impl StoreLayer for Counting {
        ///     fn beneath(&self) -> &dyn EventStore {
        ///         &*self.store
        ///     }
        ///
        ///     async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        ///         let appended = self.store.append(append).await?;
        ///         self.events.fetch_add(append.events.len() as u64, Ordering::Relaxed);
        ///         Ok(appended)
        ///     }
        /// }
        /// ```
        #[async_trait]
        pub trait StoreLayer: Send + Sync + fmt::Debug + 'static {
            /// The store that it is around.
            fn beneath(&self) -> &dyn EventStore;

            /// Awaited before each call.
            async fn before(&self) {}

            $(
                #[doc = concat!("See [`EventStore::", stringify!($call), "`].")]
                ///
                /// # Errors
                /// Those of the store.
                async fn $call(&self, $($argument: $type),*) -> $answer {
                    self.beneath().$call($($argument),*).await
                }
            )*
        }

        #[async_trait]
        impl<L: StoreLayer> EventStore for L {
            $(
                async fn $call(&self, $($argument: $type),*) -> $answer {
                    self.before().await;
                    StoreLayer::$call(self, $($argument),*).await
                }
            )*
        }
    };
}

layer! {
    register(registration: &Registration) -> Result<Registered, StoreError>;
    load(reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError>;
    append(append: &Append) -> Result<Appended, AppendError>;
    outcome(cause: CauseId) -> Result<Option<Appended>, StoreError>;
    answer(cause: CauseId) -> Result<Option<Bytes>, StoreError>;
    claim(claim: &Claim) -> Result<Vec<Claimed>, StoreError>;
    positions() -> Result<Vec<(SourceLane, Position)>, StoreError>;
    held(source: &SourceLane, key: &str, limit: usize) -> Result<Vec<HeldMessage>, StoreError>;
    held_in(state: HeldState, limit: usize) -> Result<Vec<HeldMessage>, StoreError>;
    held_of_saga(saga: SagaId, limit: usize) -> Result<Vec<HeldMessage>, StoreError>;
    saga_events(saga: SagaId, limit: usize) -> Result<Vec<RecordedEvent>, StoreError>;
    letter(id: &LetterId) -> Result<Option<Letter>, StoreError>;
    rule(ruling: &NewRuling) -> Result<Ruled, StoreError>;
    rulings(query: &RulingQuery) -> Result<Vec<Ruling>, StoreError>;
    count_letters() -> Result<LetterCounts, StoreError>;
    gaps(limit: usize) -> Result<Vec<Gap>, StoreError>;
    claim_agenda(claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError>;
    agenda(query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError>;
    lane_heads() -> Result<Vec<LaneSeq>, StoreError>;
    read_lane(lane: Lane, after: LaneSeq, limit: usize) -> Result<Vec<RecordedEvent>, StoreError>;
    floor(lane: Lane) -> Result<Option<Floor>, StoreError>;
    set_floor(floor: &Floor) -> Result<(), StoreError>;
    lease(name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError>;
    release(name: &str, holder: &str) -> Result<(), StoreError>;
    close_shards() -> Result<ShardChange, StoreError>;
    open_shards(change: u64, shards: u32) -> Result<bool, StoreError>;
    prune_causes(before: Timestamp, limit: usize) -> Result<u64, StoreError>;
    prune_inbox(before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}
