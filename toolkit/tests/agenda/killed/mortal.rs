//! The store of a process that will be killed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use quadrille::{
    id::{CauseId, Lane, LaneSeq, SagaId, SourceLane},
    runtime::Timestamp,
    store::{
        AgendaClaim, AgendaItem, AgendaQuery, Append, AppendError, Appended, Claim, Claimed,
        EventStore, Floor, Gap, HeldMessage, HeldState, Lease, Letter, LetterCounts, LetterId,
        NewRuling, Position, RecordedEvent, Registered, Registration, Ruled, Ruling, RulingQuery,
        ShardChange, StoreError, StreamRead, StreamSlice,
    },
};

use super::fate::Fate;

/// As the store inside, while the process lives.
#[derive(Debug)]
pub struct Mortal {
    pub store: Arc<dyn EventStore>,
    pub fate: Arc<Fate>,
}

#[async_trait]
impl EventStore for Mortal {
    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        self.fate.moment_of("before the append", append).await;
        let appended = self.store.append(append).await;
        self.fate.moment_of("after the append", append).await;
        if appended.is_ok() {
            self.fate.committed(append);
        }
        appended
    }

    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError> {
        self.fate.alive().await;
        self.store.register(registration).await
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        self.fate.alive().await;
        let slices = self.store.load(reads).await;
        if reads.iter().any(|read| self.fate.is_of(read.stream.as_str())) {
            self.fate.moment_of_its_own("loaded").await;
        }
        slices
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        self.fate.alive().await;
        self.store.outcome(cause).await
    }

    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError> {
        self.fate.alive().await;
        self.store.answer(cause).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.fate.alive().await;
        self.store.claim(claim).await
    }

    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError> {
        self.fate.alive().await;
        self.store.positions().await
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.fate.alive().await;
        self.store.held(source, key, limit).await
    }

    async fn held_in(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.fate.alive().await;
        self.store.held_in(state, limit).await
    }

    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.fate.alive().await;
        self.store.held_of_saga(saga, limit).await
    }

    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.fate.alive().await;
        self.store.saga_events(saga, limit).await
    }

    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        self.fate.alive().await;
        self.store.letter(id).await
    }

    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError> {
        self.fate.alive().await;
        self.store.rule(ruling).await
    }

    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError> {
        self.fate.alive().await;
        self.store.rulings(query).await
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        self.fate.alive().await;
        self.store.count_letters().await
    }

    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        self.fate.alive().await;
        self.store.gaps(limit).await
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        self.fate.alive().await;
        let items = self.store.claim_agenda(claim).await?;
        self.fate.claimed(&items).await;
        Ok(items)
    }

    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError> {
        self.fate.alive().await;
        self.store.agenda(query).await
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        self.fate.alive().await;
        self.store.lane_heads().await
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.fate.alive().await;
        self.store.read_lane(lane, after, limit).await
    }

    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError> {
        self.fate.alive().await;
        self.store.floor(lane).await
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        self.fate.alive().await;
        self.store.set_floor(floor).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.fate.alive().await;
        self.store.lease(name, holder, ttl).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.fate.alive().await;
        self.store.release(name, holder).await
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        self.fate.alive().await;
        self.store.close_shards().await
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        self.fate.alive().await;
        self.store.open_shards(change, shards).await
    }

    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.fate.alive().await;
        self.store.prune_causes(before, limit).await
    }

    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.fate.alive().await;
        self.store.prune_inbox(before, limit).await
    }
}
