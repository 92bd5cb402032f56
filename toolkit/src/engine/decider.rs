//! The decider: turns messages and commands into one append, and decides again when it is not committed.
//!
//! A state machine without I/O (P1, P10, P11, P12, P17). The intake pushes works, loads the streams it
//! asks for, commits what it seals, and tells it the result:
//!
//! ```text
//! push ──► advance ──► wants ──► provide ──► advance … until quiescent ──► seal ──► committed, settle | rolled back
//! ```
//!
//! While one batch commits, the next is decided on its overlay. If the commit fails, both are decided
//! again, and nobody has been told anything (P1).

mod agenda;
#[cfg(feature = "mutants")]
mod early;
mod finish;
mod held;
mod job;
mod open;
mod queue;
mod sealed;
mod step;
mod work;

use std::{fmt, num::NonZeroUsize, sync::Arc};

pub(crate) use held::unreadable;
pub(crate) use job::{CommandJob, Job, JobFailure};
use lru::LruCache;
pub(crate) use open::Entry;
use open::Open;
use queue::Queue;
use sealed::Sealed;
pub(crate) use sealed::Verdict as CommitVerdict;
pub(crate) use work::{AgendaStep, AgendaWork, Fresh, RetryGroup, Work};

use super::{
    accidents::Accidents,
    lanes::{HeldKey, LaneBook},
    limits::{Limits, RetryPolicy},
    status::Status,
};
use crate::{
    barrier::Dispatch,
    id::{SourceLane, StreamId},
    mutant::{Mutant, broken},
    runtime::Runtime,
    service::Service,
    store::StreamSlice,
    turn::Want,
};

pub(crate) struct Decider<S: Service> {
    service: Arc<S>,
    dispatch: Arc<Dispatch<S>>,
    runtime: Runtime,
    limits: Limits,
    retry: RetryPolicy,
    output_lanes: u32,
    /// Whether someone is to be told of dead letters.
    alerts: bool,
    status: Arc<Status>,
    accidents: Accidents,
    pub(crate) lanes: LaneBook,
    cache: LruCache<StreamId, Entry>,
    pending: Queue,
    open: Open,
    sealed: Option<Sealed>,
    /// Fewer than `batch_works_max` while a batch that the store refused is bisected.
    batch_works: usize,
}

impl<S: Service> fmt::Debug for Decider<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decider of {}", S::NAME)
    }
}

/// What a decider is made of.
pub(crate) struct Parts<S: Service> {
    pub(crate) service: Arc<S>,
    pub(crate) dispatch: Arc<Dispatch<S>>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) retry: RetryPolicy,
    pub(crate) output_lanes: u32,
    pub(crate) alerts: bool,
    pub(crate) status: Arc<Status>,
    pub(crate) accidents: Accidents,
}

impl<S: Service> Decider<S> {
    pub(crate) fn new(parts: Parts<S>) -> Self {
        let cached =
            NonZeroUsize::new(parts.limits.aggregates_cached_max).unwrap_or(NonZeroUsize::MIN);
        Self {
            batch_works: parts.limits.batch_works_max,
            service: parts.service,
            dispatch: parts.dispatch,
            runtime: parts.runtime,
            limits: parts.limits,
            retry: parts.retry,
            output_lanes: parts.output_lanes,
            alerts: parts.alerts,
            status: parts.status,
            accidents: parts.accidents,
            lanes: LaneBook::default(),
            cache: LruCache::new(cached),
            pending: Queue::default(),
            open: Open::default(),
            sealed: None,
        }
    }

    pub(crate) fn consumes(&self, event_type: &str) -> bool {
        self.dispatch.consumes(event_type)
    }

    /// Whether dead messages may be set aside.
    pub(crate) fn sets_aside(&self) -> bool {
        self.dispatch.sets_aside
    }

    /// How many more works it takes now: slowness passes backwards.
    pub(crate) fn room(&self) -> usize {
        let waiting = self.pending.len() + self.open.len();
        if self.pending.bytes() >= self.limits.batch_bytes_max {
            return 0;
        }
        (2 * self.limits.batch_works_max).saturating_sub(waiting)
    }

    pub(crate) fn push(&mut self, work: Work) {
        self.pending.push_back(work);
    }

    /// Whether there is nothing to decide and nothing to commit.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.open.is_empty() && self.sealed.is_none()
    }

    /// Decides as far as it can; returns the streams that are missing.
    pub(crate) fn advance(&mut self) -> Vec<Want> {
        loop {
            while let Some(index) = self.open.ready.pop_first() {
                self.step(index);
            }
            if !self.take_one() {
                return std::mem::take(&mut self.open.to_load);
            }
        }
    }

    /// Whether the open batch is as large as it may be.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= self.batch_works || self.open.bytes >= self.limits.batch_bytes_max
    }

    /// Takes one more work into the batch. False when nothing waits, or the batch is as large as it may be.
    fn take_one(&mut self) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(work) = self.pending.pop_front() else { return false };
        match work {
            Work::Command(job) if job.cause().is_some_and(|cause| self.being_decided(cause)) => {
                self.open.twins.push(job);
            }
            work => {
                let sealed = self.sealed.as_ref();
                let repeats = work.foreign().is_some_and(|entry| {
                    sealed.is_some_and(|sealed| sealed.append.inbox.binary_search(entry).is_ok())
                });
                self.open.push(work, repeats);
            }
        }
        true
    }

    fn being_decided(&self, cause: crate::id::CauseId) -> bool {
        self.open.causes.contains(&cause)
            || self.sealed.as_ref().is_some_and(|s| s.causes.contains(&cause))
    }

    /// Gives it the streams that it asked for. One that cannot be folded fails the works that need it.
    pub(crate) fn provide(&mut self, wants: &[Want], slices: Vec<StreamSlice>) {
        for (want, slice) in wants.iter().zip(slices) {
            let snapshot = slice.snapshot.as_ref().map(|(_, state)| &state[..]);
            match (want.kind.rebuild)(snapshot, &slice.events) {
                Ok(state) => {
                    let entry = Entry {
                        kind: want.kind,
                        version: slice.version,
                        first_saga: slice.first_saga,
                        state,
                        since_snapshot: u32::try_from(slice.events.len()).unwrap_or(u32::MAX),
                    };
                    self.open.base.insert(want.stream.clone(), entry);
                    self.open.unblock(&want.stream);
                }
                Err(error) => self.unfoldable(&want.stream, &error),
            }
        }
    }

    /// A stream as the next task would see it: this batch's overlay, that of the batch being committed,
    /// what was loaded, the cache.
    fn entry(&mut self, stream: &StreamId) -> Option<&Entry> {
        if !broken(Mutant::OverlayIgnored)
            && let Some(entry) = self.open.layer.get(stream)
        {
            return Some(entry);
        }
        if !broken(Mutant::SealedOverlayIgnored)
            && let Some(entry) = self.sealed.as_ref().and_then(|s| s.layer.get(stream))
        {
            return Some(entry);
        }
        if let Some(entry) = self.open.base.get(stream) {
            return Some(entry);
        }
        self.cache.get(stream)
    }

    /// Whether a key is held back, as the next task would see it.
    fn held(&self, source: &SourceLane, key: &Arc<str>) -> Option<HeldKey> {
        if self.open.held.is_empty() && self.sealed.as_ref().is_none_or(|s| s.held.is_empty()) {
            return self.lanes.held(source, key).cloned();
        }
        let name = (source.clone(), key.clone());
        if let Some(held) = self.open.held.get(&name) {
            return held.clone();
        }
        if let Some(held) = self.sealed.as_ref().and_then(|s| s.held.get(&name)) {
            return held.clone();
        }
        self.lanes.held(source, key).cloned()
    }
}
