//! A store in memory, for tests and the simulation: the contract to the letter, and no file.

mod agenda;
mod append;
mod claim;
mod lease;
mod letters;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use self::state::State;
use super::{
    AgendaClaim, AgendaItem, AgendaQuery, Append, AppendError, Appended, Claim, Claimed,
    EventStore, Floor, Gap, HeldMessage, HeldState, Lease, Letter, LetterCounts, LetterId,
    NewRuling, Position, RecordedEvent, Registered, Registration, Ruled, Ruling, RulingQuery,
    ShardChange, StoreError, StreamRead, StreamSlice,
};
use crate::{
    id::{CauseId, Lane, LaneSeq, SagaId, SourceLane},
    runtime::{Clock, Runtime, Timestamp},
};

/// An [`EventStore`] in memory. Clones are handles on the same data, as several processes have them.
///
/// "Durable" means here: it lives as long as a handle does.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store, whose leases expire by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), clock }
    }

    /// An independent copy of what is stored now: a backup.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.lock().clone();
        Self { state: Arc::new(Mutex::new(state)), clock: self.clock.clone() }
    }

    /// Puts a backup back, under all handles of this store: what was committed since is lost, as after a
    /// fail-over to a replica that lagged (P8).
    pub fn restore(&self, backup: &Self) {
        let state = backup.lock().clone();
        *self.lock() = state;
    }

    /// Everything that is stored, stream by stream.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn streams(&self) -> Vec<(crate::id::StreamId, Vec<Arc<RecordedEvent>>)> {
        let state = self.lock();
        state.streams.iter().map(|(stream, events)| (stream.clone(), events.clone())).collect()
    }

    /// One stream, whole.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn stream(&self, stream: &crate::id::StreamId) -> Vec<RecordedEvent> {
        let state = self.lock();
        let events = state.streams.get(stream).into_iter().flatten();
        events.map(|event| (**event).clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    /// An empty store on the wall clock.
    fn default() -> Self {
        Self::new(Runtime::tokio().clock)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError> {
        self.lock().register(registration)
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        let state = self.lock();
        Ok(reads.iter().map(|read| state.slice(read)).collect())
    }

    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        self.lock().append(append)
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        Ok(self.lock().causes.get(&cause).and_then(|row| row.appended.clone()))
    }

    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError> {
        Ok(self.lock().causes.get(&cause).and_then(|row| row.answer.clone()))
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut state = self.lock();
        Ok(claim.lanes.iter().map(|lane| state.claim(lane, claim)).collect())
    }

    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError> {
        let state = self.lock();
        Ok(state.positions.iter().map(|(lane, row)| (lane.clone(), row.position.clone())).collect())
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        Ok(self.lock().held_of(source, key, limit))
    }

    async fn held_in(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        Ok(self.lock().held_in(state, limit))
    }

    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        Ok(self.lock().held_of_saga(saga, limit))
    }

    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(self.lock().saga_events(saga, limit))
    }

    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        Ok(self.lock().letter(id))
    }

    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError> {
        Ok(self.lock().rule(ruling))
    }

    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError> {
        Ok(self.lock().rulings(query))
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        Ok(self.lock().count_letters())
    }

    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        Ok(self.lock().gaps(limit))
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        let now = self.clock.now();
        Ok(self.lock().claim_agenda(claim, now))
    }

    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError> {
        Ok(self.lock().agenda_items(query))
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        Ok(self.lock().lanes.iter().map(|lane| lane.len() as LaneSeq).collect())
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(self.lock().read_lane(lane, after, limit))
    }

    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError> {
        Ok(self.lock().floors.get(&lane).cloned())
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        self.lock().set_floor(floor);
        Ok(())
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let now = self.clock.now();
        Ok(self.lock().lease(name, holder, ttl, now))
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.lock().release(name, holder);
        Ok(())
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        self.lock().close_shards()
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        self.lock().open_shards(change, shards)
    }

    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        Ok(self.lock().prune_causes(before, limit))
    }

    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        Ok(self.lock().prune_inbox(before, limit))
    }
}
