//! The store as an instance reaches it. A new method of the port is one line here: `read` when it changes
//! nothing, `write` when it does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;

use super::{
    core::Core,
    faults::Fault,
    node::{Node, PortError as _},
    plan::Site,
    report::Broken,
};
use crate::{
    id::{CauseId, Lane, LaneSeq, SagaId, SourceLane},
    runtime::Timestamp,
    store::{
        AgendaClaim, AgendaItem, AgendaQuery, Append, AppendError, Appended, Claim, Claimed,
        EventStore, Floor, Gap, HeldMessage, HeldState, Lease, Letter, LetterCounts, LetterId,
        NewRuling, Position, RecordedEvent, Registered, Registration, Ruled, Ruling, RulingQuery,
        ShardChange, StoreError, StreamRead, StreamSlice, memory::MemoryStore,
    },
};

const APPEND: &[Fault] = &[
    Fault::CrashBefore,
    Fault::CrashMidway,
    Fault::CrashAfter,
    Fault::StoreUnavailable,
    Fault::Conflict,
    Fault::Deadlock,
    Fault::UnknownLost,
    Fault::UnknownCommitted,
    Fault::UnknownLate,
];

/// Appends that a store refuses one after the other, whoever sends them, before that is called a livelock.
/// Faults are not counted.
const REFUSED_IN_A_ROW_MAX: u64 = 500;

/// One instance's connection to the store of its service.
#[derive(Debug)]
pub(super) struct SimStore {
    node: Node,
    inner: MemoryStore,
    /// The cause of an append of this life whose outcome it was not told, and has not asked for since.
    unknown: Mutex<Option<CauseId>>,
}

impl SimStore {
    pub(super) fn new(node: Node) -> Self {
        let inner = node.core().services[node.service()].store.clone();
        Self { node, inner, unknown: Mutex::default() }
    }

    fn unknown(&self) -> MutexGuard<'_, Option<CauseId>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// P17: before anything is decided again, the cause whose outcome is unknown is looked up.
    fn check_asked(&self, append: &Append) {
        let Some(unknown) = *self.unknown() else { return };
        if append.cause != Some(unknown) {
            let told = format!("{}: that of {unknown} was not", self.node.place());
            let broken = Broken::invariant("an unknown outcome is asked for", told);
            self.node.core().fail(broken);
        }
    }

    fn land(&self, append: &Append) -> Result<Appended, AppendError> {
        land(self.node.core(), self.node.service(), self.node.place(), append)
    }

    /// The append is still on its way when its sender no longer waits for it.
    fn land_later(&self, site: &Site, append: &Append) {
        let (core, place) = (self.node.core().clone(), self.node.place().clone());
        let (service, append) = (self.node.service(), append.clone());
        let after = core.some_time(site, "late", 1, 4_000);
        core.clone().later(after, move || {
            let landed = land(&core, service, &place, &append);
            core.tell(&place, || match landed {
                Ok(_) => "the late append lands".to_owned(),
                Err(error) => format!("the late append fails: {error}"),
            });
        });
    }

    async fn append_with(
        &self,
        fault: Fault,
        site: &Site,
        append: &Append,
    ) -> Result<Appended, AppendError> {
        match fault {
            Fault::Conflict => {
                let streams = append.reads.iter().map(|(stream, _)| stream.clone()).collect();
                return Err(AppendError::Conflict { streams });
            }
            Fault::Deadlock => return Err(AppendError::Conflict { streams: vec![] }),
            Fault::CrashBefore => self.node.die_at(site).await,
            Fault::CrashAfter | Fault::UnknownCommitted => drop(self.land(append)),
            Fault::CrashMidway | Fault::UnknownLate => self.land_later(site, append),
            _ => {}
        }
        if matches!(fault, Fault::CrashAfter | Fault::CrashMidway) {
            self.node.die_at(site).await;
        }
        self.node.time_out(site).await;
        if fault == Fault::StoreUnavailable {
            return Err(AppendError::Unavailable("simulated: unavailable".into()));
        }
        *self.unknown() = append.cause;
        Err(AppendError::Unknown("simulated: no answer".into()))
    }
}

/// Appends now, and takes note of it.
fn land(
    core: &Arc<Core>,
    service: usize,
    place: &str,
    append: &Append,
) -> Result<Appended, AppendError> {
    let store = core.services[service].store.clone();
    let result = store.append(append).now_or_never();
    let result = result.unwrap_or_else(|| Err(AppendError::Unavailable("it waits".into())));
    match &result {
        Ok(appended) => super::witness::appended(core, service, place, append, appended),
        // It is bisected, and decided again in smaller batches: in the end it looks as if nothing had been
        // wrong. But this store refuses no data; only an append that contradicts itself.
        Err(AppendError::Rejected(flaw)) => {
            let told = format!("{place}: {flaw}");
            core.fail(Broken::invariant("what is decided can be appended", told));
        }
        Err(_) => {}
    }
    let in_a_row = core.witness().note_attempt(service, result.is_ok());
    if in_a_row > REFUSED_IN_A_ROW_MAX {
        let told =
            format!("{place}: {in_a_row} in a row were refused: {:?}", result.as_ref().err());
        core.fail(Broken::invariant("appends get through", told));
    }
    result
}

#[async_trait]
impl EventStore for SimStore {
    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        let site = self.node.reach("append").await;
        self.check_asked(append);
        if StoreError::is_out(&self.node) {
            self.node.time_out(&site).await;
            return Err(AppendError::Unavailable("simulated: out of service".into()));
        }
        if let Some(fault) = self.node.core().decide(&site, APPEND) {
            return self.append_with(fault, &site, append).await;
        }
        let result = self.land(append);
        if let Err(error) = &result {
            self.node.core().tell(self.node.place(), || format!("append: {error}"));
        }
        self.node.back(&site).await;
        result
    }

    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError> {
        self.node.call("register", StoreError::WRITES, self.inner.register(registration)).await
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        self.node.read("load", self.inner.load(reads)).await
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        let outcome = self.node.read("outcome", self.inner.outcome(cause)).await;
        if outcome.is_ok() {
            self.unknown().take_if(|unknown| *unknown == cause);
        }
        outcome
    }

    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError> {
        self.node.read("answer", self.inner.answer(cause)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.node.write("claim", self.inner.claim(claim)).await
    }

    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError> {
        self.node.read("positions", self.inner.positions()).await
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.node.read("held", self.inner.held(source, key, limit)).await
    }

    async fn held_in(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.node.read("held_in", self.inner.held_in(state, limit)).await
    }

    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.node.read("held_of_saga", self.inner.held_of_saga(saga, limit)).await
    }

    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.node.read("saga_events", self.inner.saga_events(saga, limit)).await
    }

    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        self.node.read("letter", self.inner.letter(id)).await
    }

    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError> {
        self.node.write("rule", self.inner.rule(ruling)).await
    }

    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError> {
        self.node.read("rulings", self.inner.rulings(query)).await
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        self.node.read("count_letters", self.inner.count_letters()).await
    }

    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        self.node.read("gaps", self.inner.gaps(limit)).await
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        self.node.write("claim_agenda", self.inner.claim_agenda(claim)).await
    }

    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError> {
        self.node.read("agenda", self.inner.agenda(query)).await
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        self.node.read("lane_heads", self.inner.lane_heads()).await
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.node.read("read_lane", self.inner.read_lane(lane, after, limit)).await
    }

    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError> {
        self.node.read("floor", self.inner.floor(lane)).await
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        self.node.write("set_floor", self.inner.set_floor(floor)).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        // Renewing it changes nothing, but for the time.
        self.node.call("lease", StoreError::WRITES, self.inner.lease(name, holder, ttl)).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.node.write("release", self.inner.release(name, holder)).await
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        self.node.write("close_shards", self.inner.close_shards()).await
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        self.node.write("open_shards", self.inner.open_shards(change, shards)).await
    }

    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.node.write("prune_causes", self.inner.prune_causes(before, limit)).await
    }

    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.node.write("prune_inbox", self.inner.prune_inbox(before, limit)).await
    }
}
