//! A store that fails on purpose.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::turnstile::Turnstile;
use crate::{
    id::{CauseId, LaneSeq, SourceLane},
    store::{
        AgendaClaim, AgendaItem, Append, AppendError, Appended, EventStore, Floor, HeldMessage,
        ShardChange, StoreError, StreamRead, StreamSlice, layer,
    },
};

/// What becomes of one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// None: it goes through. For appends before the one that is to fail.
    Pass,
    /// A conflict on all that it read; nothing is written.
    Conflict,
    /// The store is unavailable; nothing is written.
    Unavailable,
    /// It is committed, and its outcome reported as unknown.
    UnknownCommitted,
    /// It is not committed, and its outcome reported as unknown.
    UnknownLost,
    /// It is committed, and nobody hears so before [`resume`](FaultyStore::resume); other appends are held up too.
    AnsweredLate,
}

/// Any [`EventStore`], failing on purpose, counting calls, and remembering the appends that it saw.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    script: Mutex<Script>,
    /// Whether appends are held up.
    holding: watch::Sender<bool>,
    heads: Turnstile,
    /// Where changes of the shards are held up, and where one is.
    holding_shards: watch::Sender<Option<ShardStep>>,
    shards_held_at: watch::Sender<Option<ShardStep>>,
}

/// A moment in a change of the number of shards (P9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardStep {
    /// The map is about to be closed.
    Close,
    /// It has been closed.
    Closed,
    /// It is about to be opened.
    Open,
    /// It has been opened.
    Opened,
}

#[derive(Debug, Default)]
struct Script {
    faults: VecDeque<Fault>,
    rejected: Vec<Vec<u8>>,
    /// Whether nobody learns what became of an append.
    outcomes_hidden: bool,
    held_hidden: bool,
    agenda_hidden: bool,
    loads: usize,
    seen: Vec<Append>,
    floors: Vec<Floor>,
    held_up: usize,
}

impl<S: EventStore> FaultyStore<S> {
    /// Wraps a store; nothing fails yet.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            script: Mutex::default(),
            holding: watch::Sender::new(false),
            heads: Turnstile::default(),
            holding_shards: watch::Sender::new(None),
            shards_held_at: watch::Sender::new(None),
        }
    }

    /// The store inside.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Queues faults, one for each of the next appends; after the last one appends go through.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// From now on an append is [`Rejected`](AppendError::Rejected) when one of its events' payloads
    /// contains `bytes`. Such an append takes no fault from the queue.
    pub fn reject_payloads_with(&self, bytes: impl Into<Vec<u8>>) {
        self.lock().rejected.push(bytes.into());
    }

    /// From now on nobody learns what became of an append: asked for it, the store is unavailable.
    pub fn hide_outcomes(&self) {
        self.lock().outcomes_hidden = true;
    }

    /// From now on nobody gets the held messages of a key: asked for them, the store is unavailable.
    pub fn hide_held(&self) {
        self.lock().held_hidden = true;
    }

    /// From now on nobody can claim what is on the agenda: the store is unavailable for that.
    pub fn hide_agenda(&self) {
        self.lock().agenda_hidden = true;
    }

    /// Ends all faults, those of [`reject_payloads_with`](Self::reject_payloads_with),
    /// [`hide_outcomes`](Self::hide_outcomes), [`hide_held`](Self::hide_held) and
    /// [`hide_agenda`](Self::hide_agenda) too.
    pub fn heal(&self) {
        let mut script = self.lock();
        script.outcomes_hidden = false;
        script.held_hidden = false;
        script.agenda_hidden = false;
        script.faults.clear();
        script.rejected.clear();
    }

    /// Where calls of `lane_heads` wait with their answer.
    #[must_use]
    pub fn heads_are_answered(&self) -> &Turnstile {
        &self.heads
    }

    /// All floors that were to be written, in order.
    #[must_use]
    pub fn floors(&self) -> Vec<Floor> {
        self.lock().floors.clone()
    }

    /// Holds up whoever comes to this step of changing the shards; `None` lets go.
    pub fn hold_shards_at(&self, step: Option<ShardStep>) {
        self.holding_shards.send_replace(step);
    }

    /// Resolves when someone is held up at this step.
    pub async fn shards_are_held_at(&self, step: ShardStep) {
        let _ = self.shards_held_at.subscribe().wait_for(|held| *held == Some(step)).await;
    }

    async fn pass_shards(&self, step: ShardStep) {
        let mut holding = self.holding_shards.subscribe();
        if *holding.borrow() == Some(step) {
            self.shards_held_at.send_replace(Some(step));
            let _ = holding.wait_for(|at| *at != Some(step)).await;
            self.shards_held_at.send_replace(None);
        }
    }

    /// Appends from now on do not begin before [`resume`](Self::resume), as on a slow disk.
    pub fn hold(&self) {
        self.holding.send_replace(true);
    }

    /// Ends [`hold`](Self::hold).
    pub fn resume(&self) {
        self.holding.send_replace(false);
    }

    /// How many appends are held up now.
    #[must_use]
    pub fn held_up(&self) -> usize {
        self.lock().held_up
    }

    async fn pass_the_hold(&self) {
        let mut holding = self.holding.subscribe();
        if *holding.borrow() {
            self.lock().held_up += 1;
            // The sender lives as long as `self`: this cannot fail.
            let _ = holding.wait_for(|holding| !holding).await.is_ok();
            self.lock().held_up -= 1;
        }
    }

    /// How many calls of `load` there were.
    #[must_use]
    pub fn loads(&self) -> usize {
        self.lock().loads
    }

    /// How many calls of `append` there were, failed ones included.
    #[must_use]
    pub fn appends(&self) -> usize {
        self.lock().seen.len()
    }

    /// All appends that were asked for, failed ones included, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Append> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault_for(&self, append: &Append) -> Result<Fault, AppendError> {
        let mut script = self.lock();
        script.seen.push(append.clone());
        let refused = |bytes: &Vec<u8>| append.events.iter().any(|e| contains(&e.payload, bytes));
        if script.rejected.iter().any(refused) {
            return Err(AppendError::Rejected("a payload that the script refuses".into()));
        }
        Ok(script.faults.pop_front().unwrap_or(Fault::Pass))
    }
}

fn contains(payload: &[u8], bytes: &[u8]) -> bool {
    bytes.is_empty() || payload.windows(bytes.len()).any(|window| window == bytes)
}

#[async_trait]
impl<S: EventStore> layer::StoreLayer for FaultyStore<S> {
    fn beneath(&self) -> &dyn EventStore {
        &self.inner
    }

    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        self.pass_the_hold().await;
        match self.fault_for(append)? {
            Fault::Pass => self.inner.append(append).await,
            Fault::Conflict => {
                let streams = append.reads.iter().map(|(stream, _)| stream.clone()).collect();
                Err(AppendError::Conflict { streams })
            }
            Fault::Unavailable => Err(AppendError::Unavailable("the script says so".into())),
            Fault::UnknownLost => Err(AppendError::Unknown("the script says so".into())),
            Fault::UnknownCommitted => {
                self.inner.append(append).await?;
                Err(AppendError::Unknown("the script says so".into()))
            }
            Fault::AnsweredLate => {
                let answer = self.inner.append(append).await;
                self.hold();
                self.pass_the_hold().await;
                answer
            }
        }
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        self.lock().loads += 1;
        self.inner.load(reads).await
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        if self.lock().outcomes_hidden {
            return Err(StoreError::Unavailable("the script says so".into()));
        }
        self.inner.outcome(cause).await
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        if self.lock().held_hidden {
            return Err(StoreError::Unavailable("the script says so".into()));
        }
        self.inner.held(source, key, limit).await
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        if self.lock().agenda_hidden {
            return Err(StoreError::Unavailable("the script says so".into()));
        }
        self.inner.claim_agenda(claim).await
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        let heads = self.inner.lane_heads().await;
        self.heads.pass().await;
        heads
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        self.lock().floors.push(floor.clone());
        self.inner.set_floor(floor).await
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        self.pass_shards(ShardStep::Close).await;
        let change = self.inner.close_shards().await;
        self.pass_shards(ShardStep::Closed).await;
        change
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        self.pass_shards(ShardStep::Open).await;
        let opened = self.inner.open_shards(change, shards).await;
        self.pass_shards(ShardStep::Opened).await;
        opened
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        store::memory::MemoryStore,
        testing::store_conformance::fixtures::{
            append, append_to, assert_fails, event, head, registration, stream,
        },
    };

    async fn faulty() -> FaultyStore<MemoryStore> {
        let store = FaultyStore::new(MemoryStore::default());
        store.register(&registration()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn faults_come_in_the_order_of_the_script() {
        let (store, s) = (faulty().await, stream("s"));
        let script = [
            Fault::Pass,
            Fault::Conflict,
            Fault::Unavailable,
            Fault::UnknownLost,
            Fault::UnknownCommitted,
        ];
        store.script(script);
        store.append(&append_to(&s, 0)).await.unwrap();
        let next = append_to(&s, 1);
        assert_fails!(
            store.append(&next).await,
            AppendError::Conflict { streams } if streams == [stream("s")]
        );
        assert_fails!(store.append(&next).await, AppendError::Unavailable(_));
        assert_fails!(store.append(&next).await, AppendError::Unknown(_));
        assert_eq!(store.outcome(next.cause.unwrap()).await.unwrap(), None, "lost");
        assert_fails!(store.append(&next).await, AppendError::Unknown(_));
        assert!(store.outcome(next.cause.unwrap()).await.unwrap().is_some(), "committed");
        store.append(&append_to(&s, 2)).await.unwrap();
        assert_eq!((head(&store, &s).await, store.appends(), store.loads()), (3, 6, 1));
        assert_eq!(store.seen()[1].cause, next.cause);
    }

    #[tokio::test]
    async fn a_payload_is_refused_until_the_store_heals() {
        let (store, s) = (faulty().await, stream("s"));
        store.reject_payloads_with("poison");
        let mut bad = event(&s, 1);
        bad.payload = Bytes::from_static(b"{\"poison\":1}");
        let bad = append(vec![bad]);
        assert_fails!(store.append(&bad).await, AppendError::Rejected(_));
        store.append(&append_to(&stream("other"), 0)).await.unwrap();
        store.heal();
        store.append(&bad).await.unwrap();
    }
}
