//! A stream that several instances fight over: after a few conflicts in a row, its lock is taken first,
//! so that one of them gets through (P10). The lock is a lease of the store: who holds it and dies,
//! holds it for a moment only; who does not ask for it can still come first, and is then met by the
//! usual conflict.

use std::{sync::Arc, time::Duration};

use super::Running;
use crate::{
    id::StreamId,
    runtime::{BoxFuture, Runtime},
    service::Service,
    store::{AppendError, EventStore},
};

/// Conflicts in a row after which the streams' locks are taken first.
pub(super) const CONFLICTS_BEFORE_LOCK: u32 = 3;
/// How long a lock is held at most, should its holder die.
const LOCK_TTL: Duration = Duration::from_secs(2);
/// The longest pause between two questions for a lock.
const LOCK_PAUSE_MAX: Duration = Duration::from_millis(20);

/// What is known about the fight for streams.
#[derive(Default)]
pub(super) struct Contention {
    conflicts: u32,
    waiting: Option<BoxFuture<'static, ()>>,
    held: Vec<String>,
}

impl Contention {
    /// Whether nothing may be decided yet, because a lock is being waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Resolves when the locks are there; never when none is waited for. May be dropped and called again.
    pub(super) async fn locked(&mut self) {
        match &mut self.waiting {
            Some(waiting) => {
                waiting.await;
                self.waiting = None;
            }
            None => std::future::pending().await,
        }
    }
}

impl<S: Service> Running<S> {
    /// Notes a failed append; asks for locks when conflicts repeat.
    pub(super) fn note_conflict(&mut self, error: &AppendError) {
        let AppendError::Conflict { streams } = error else { return };
        let contention = &mut self.contention;
        contention.conflicts += 1;
        if contention.conflicts < CONFLICTS_BEFORE_LOCK || !contention.held.is_empty() {
            return;
        }
        let mut names: Vec<String> = streams.iter().map(lock_name).collect();
        // One order for all: else two instances could each hold what the other waits for.
        names.sort();
        contention.held = names.clone();
        let (store, runtime) = (self.parts.store.clone(), self.parts.runtime.clone());
        contention.waiting =
            Some(Box::pin(take_all(store, runtime, self.lock_holder.clone(), names)));
    }

    /// An append was committed: whoever waits for the locks may have them.
    pub(super) fn end_contention(&mut self) {
        self.contention.conflicts = 0;
        let held = std::mem::take(&mut self.contention.held);
        if held.is_empty() {
            return;
        }
        let (store, holder) = (self.parts.store.clone(), self.lock_holder.clone());
        let release = async move {
            for name in held {
                // Should it fail, the lock expires by itself.
                let _ = store.release(&name, &holder).await;
            }
        };
        self.parts.runtime.spawner.spawn("unlock", Box::pin(release));
    }
}

fn lock_name(stream: &StreamId) -> String {
    format!("stream/{stream}")
}

async fn take_all(
    store: Arc<dyn EventStore>,
    runtime: Runtime,
    holder: String,
    names: Vec<String>,
) {
    for name in names {
        // A store that does not answer is met by the append itself; nothing hangs on the lock.
        while let Ok(None) = store.lease(&name, &holder, LOCK_TTL).await {
            let micros = u64::try_from(LOCK_PAUSE_MAX.as_micros()).unwrap_or(u64::MAX);
            let pause = Duration::from_micros(1 + runtime.entropy.below(micros));
            runtime.clock.sleep(pause).await;
        }
    }
}
