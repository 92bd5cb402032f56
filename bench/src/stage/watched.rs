//! A store that tells which orders have ended, the moment that it is durable.

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

use super::ends::Ends;

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) ends: Arc<Ends>,
}

#[async_trait]
impl EventStore for Watched {
    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        let appended = self.store.append(append).await?;
        for event in &append.events {
            self.ends.durable(&event.event_type, event.stream.as_str());
        }
        Ok(appended)
    }

    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError> {
        self.store.register(registration).await
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        self.store.load(reads).await
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        self.store.outcome(cause).await
    }

    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError> {
        self.store.answer(cause).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.store.claim(claim).await
    }

    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError> {
        self.store.positions().await
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.store.held(source, key, limit).await
    }

    async fn held_in(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.store.held_in(state, limit).await
    }

    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.store.held_of_saga(saga, limit).await
    }

    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.saga_events(saga, limit).await
    }

    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        self.store.letter(id).await
    }

    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError> {
        self.store.rule(ruling).await
    }

    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError> {
        self.store.rulings(query).await
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        self.store.count_letters().await
    }

    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        self.store.gaps(limit).await
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        self.store.claim_agenda(claim).await
    }

    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError> {
        self.store.agenda(query).await
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        self.store.lane_heads().await
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.read_lane(lane, after, limit).await
    }

    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError> {
        self.store.floor(lane).await
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        self.store.set_floor(floor).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.store.lease(name, holder, ttl).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.store.release(name, holder).await
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        self.store.close_shards().await
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        self.store.open_shards(change, shards).await
    }

    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.store.prune_causes(before, limit).await
    }

    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.store.prune_inbox(before, limit).await
    }
}
