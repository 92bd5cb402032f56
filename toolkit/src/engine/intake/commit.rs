//! The append and the load that are under way, and what follows from their results.

use std::{future::pending, sync::Arc};

use futures_util::FutureExt as _;

use super::Running;
use crate::{
    engine::decider::CommitVerdict,
    mutant::{Mutant, broken},
    runtime::{BoxFuture, Runtime},
    service::Service,
    store::{Append, AppendError, Appended, EventStore, StoreError, StreamRead, StreamSlice},
    turn::Want,
};
use std::time::Duration;

/// One call of a port at most, and its result until someone asks for it.
struct UnderWay<T> {
    future: Option<BoxFuture<'static, T>>,
    done: Option<T>,
}

impl<T> UnderWay<T> {
    fn idle() -> Self {
        Self { future: None, done: None }
    }

    fn is_idle(&self) -> bool {
        self.future.is_none() && self.done.is_none()
    }

    /// Begins at once, so that the store works while something else is decided here.
    fn start(&mut self, call: impl Future<Output = T> + Send + 'static) {
        let mut call: BoxFuture<'static, T> = Box::pin(call);
        match call.as_mut().now_or_never() {
            Some(done) => self.done = Some(done),
            None => self.future = Some(call),
        }
    }

    /// Resolves when the call has ended; never when there is none. May be dropped and called again.
    async fn wait(&mut self) -> T {
        if let Some(done) = self.done.take() {
            return done;
        }
        match &mut self.future {
            Some(future) => {
                let result = future.await;
                self.future = None;
                result
            }
            None => pending().await,
        }
    }
}

/// At most one append at a time: commits never overlap.
pub(super) struct Commit {
    call: UnderWay<Result<Appended, AppendError>>,
    append: Option<Arc<Append>>,
}

impl Commit {
    pub(super) fn idle() -> Self {
        Self { call: UnderWay::idle(), append: None }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.call.is_idle()
    }

    pub(super) fn start(&mut self, store: Arc<dyn EventStore>, append: Arc<Append>) {
        self.append = Some(append.clone());
        self.call.start(async move {
            #[cfg(feature = "mutants")]
            if let Some(ended) = crate::mutant::append_otherwise(&*store, &append).await {
                return ended;
            }
            store.append(&append).await
        });
    }

    /// Commits the same append once more.
    fn retry(&mut self, store: Arc<dyn EventStore>, runtime: &Runtime, pause: Duration) {
        let Some(append) = self.append.clone() else { return };
        let sleep = runtime.clock.sleep(pause);
        self.call.start(async move {
            sleep.await;
            store.append(&append).await
        });
    }

    /// P17: looks the cause up before anything else is done with it.
    fn ask(&mut self, store: Arc<dyn EventStore>, runtime: &Runtime, pause: Duration) {
        let Some(append) = self.append.clone() else { return };
        let sleep = runtime.clock.sleep(pause);
        self.call.start(async move {
            sleep.await;
            let Some(cause) = append.cause else { return store.append(&append).await };
            match store.outcome(cause).await {
                Ok(Some(appended)) => Ok(appended),
                Ok(None) if broken(Mutant::UnknownIsCommitted) => Ok(Appended::default()),
                // Not there: the same append again. Should the first one land meanwhile, its cause shows.
                Ok(None) => store.append(&append).await,
                Err(error) => Err(AppendError::Unknown(error.into())),
            }
        });
    }

    /// Resolves when the append has ended; never when there is none. May be dropped and called again.
    pub(super) async fn wait(&mut self) -> Result<Appended, AppendError> {
        self.call.wait().await
    }
}

/// At most one load at a time: a wave.
pub(super) struct Load {
    call: UnderWay<Result<Vec<StreamSlice>, StoreError>>,
    wants: Vec<Want>,
}

impl Load {
    pub(super) fn idle() -> Self {
        Self { call: UnderWay::idle(), wants: vec![] }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.call.is_idle()
    }

    pub(super) fn start(&mut self, store: Arc<dyn EventStore>, wants: Vec<Want>) {
        let reads = reads(&wants);
        self.wants = wants;
        self.call.start(async move { store.load(&reads).await });
    }

    fn retry(&mut self, store: Arc<dyn EventStore>, runtime: &Runtime, pause: Duration) {
        let (reads, sleep) = (reads(&self.wants), runtime.clock.sleep(pause));
        self.call.start(async move {
            sleep.await;
            store.load(&reads).await
        });
    }

    pub(super) async fn wait(&mut self) -> Result<Vec<StreamSlice>, StoreError> {
        self.call.wait().await
    }
}

fn reads(wants: &[Want]) -> Vec<StreamRead> {
    wants
        .iter()
        .map(|want| StreamRead {
            stream: want.stream.clone(),
            snapshot_version: want.kind.snapshot_version,
        })
        .collect()
}

impl<S: Service> Running<S> {
    pub(super) async fn commit_ended(&mut self, result: Result<Appended, AppendError>) {
        match result {
            Ok(appended) => {
                self.commit_backoff.reset();
                self.end_contention();
                self.parts.status.trouble("store", None);
                let took = self.parts.runtime.clock.now().since(self.sealed_at);
                self.parts.status.gauges.append.observe_time(took);
                // Its events go on from here: nobody else is to hold them.
                self.commit.append = None;
                let Some(committed) = self.parts.decider.committed() else { return };
                // The store is not to wait for what follows from the last append, if nothing more fits into the next.
                if self.parts.decider.is_full() {
                    self.commit_next();
                }
                let settled = self.parts.decider.settle(committed, &appended);
                if !settled.fresh.is_empty() {
                    self.parts.fresh.hand_over(settled.fresh);
                }
                if settled.due.is_some() {
                    self.parts.agenda.due.send_replace(settled.due);
                }
                if let Some(subscription) = &mut self.subscription {
                    for (source, next_offset) in settled.moved {
                        // For lag tools only (P2): a failure here means nothing.
                        let _ = subscription.note_progress(&source, next_offset).await;
                    }
                }
            }
            Err(error) => self.commit_failed(error),
        }
    }

    fn commit_failed(&mut self, error: AppendError) {
        tracing::debug!(%error, "append failed");
        if !matches!(error, AppendError::Unavailable(_) | AppendError::Unknown(_)) {
            // It has answered.
            self.parts.status.trouble("store", None);
        }
        self.note_conflict(&error);
        let (store, runtime) = (self.parts.store.clone(), self.parts.runtime.clone());
        match self.parts.decider.failed(error) {
            CommitVerdict::Again => {
                // Wants of what was taken apart are void; what is decided again asks anew.
                self.forget_load();
            }
            CommitVerdict::Lost(lanes) => {
                self.forget_load();
                let again = self.claim_again_at();
                for lane in lanes {
                    tracing::warn!(%lane, "another instance has taken the lane over");
                    self.assigned.entry(lane).and_modify(|at| *at = Some(again));
                }
                self.parts.status.lanes(&self.parts.decider.lanes);
            }
            CommitVerdict::Stale(lanes) => {
                self.forget_load();
                let now = runtime.clock.now();
                for lane in lanes {
                    self.assigned.entry(lane).and_modify(|at| *at = Some(now));
                }
            }
            // What the store has forgotten cannot be told from what was never done.
            CommitVerdict::Ask(reason) if self.is_forgotten_soon() => {
                self.parts.status.trouble("store", Some(reason));
                self.forget_load();
                let now = runtime.clock.now();
                for lane in self.parts.decider.give_up() {
                    self.assigned.entry(lane).and_modify(|at| *at = Some(now));
                }
                self.parts.status.lanes(&self.parts.decider.lanes);
            }
            // Its answers would be kept for less than was promised.
            CommitVerdict::Retry(reason) if self.is_forgotten_soon() => {
                self.parts.status.trouble("store", Some(reason));
                self.forget_load();
                self.parts.decider.decide_again();
            }
            CommitVerdict::Retry(reason) => {
                self.parts.status.trouble("store", Some(reason));
                let pause = self.commit_backoff.pause();
                self.commit.retry(store, &runtime, pause);
            }
            CommitVerdict::Ask(reason) => {
                self.parts.status.trouble("store", Some(reason));
                let pause = self.commit_backoff.pause();
                self.commit.ask(store, &runtime, pause);
            }
        }
    }

    /// Whether half of the time has passed for which the store keeps what the append is known by.
    fn is_forgotten_soon(&self) -> bool {
        let now = self.parts.runtime.clock.now();
        let kept = self.parts.limits.answers_kept.min(self.parts.limits.inbox_kept);
        self.commit.append.as_ref().is_some_and(|append| now.since(append.at) >= kept / 2)
    }

    /// What was asked for is void.
    fn forget_load(&mut self) {
        self.load = Load::idle();
        self.parts.status.trouble("load", None);
    }

    pub(super) fn load_ended(&mut self, result: Result<Vec<StreamSlice>, StoreError>) {
        match result {
            Ok(slices) => {
                self.load_backoff.reset();
                self.parts.status.trouble("load", None);
                let wants = std::mem::take(&mut self.load.wants);
                self.parts.decider.provide(&wants, slices);
            }
            Err(error) => {
                self.parts.status.trouble("load", Some(error.to_string()));
                let pause = self.load_backoff.pause();
                self.load.retry(self.parts.store.clone(), &self.parts.runtime, pause);
            }
        }
    }

    /// Does something else without starving the append and the load: they may hold what it waits for.
    pub(super) async fn alongside<T>(&mut self, other: impl Future<Output = T> + Send) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            let (commit_runs, load_runs) =
                (self.commit.call.future.is_some(), self.load.call.future.is_some());
            tokio::select! {
                biased;
                result = self.commit.wait(), if commit_runs => self.commit.call.done = Some(result),
                result = self.load.wait(), if load_runs => self.load.call.done = Some(result),
                result = &mut other => return result,
            }
        }
    }
}
