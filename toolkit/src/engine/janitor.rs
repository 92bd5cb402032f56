//! The janitor: forgets answers and inbox entries that are older than the limits say (P4, P17).
//!
//! One instance at a time does it, by a lease; whoever comes second loses nothing but a look. It removes
//! few rows in one transaction, with a pause before the next, so that appends go on.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    limits::Limits,
    signal::raised,
    status::{Status, add},
};
use crate::{
    runtime::Runtime,
    store::{EventStore, StoreError},
};

const LEASE: &str = "janitor";
/// Between two transactions of one round.
const PAUSE: Duration = Duration::from_millis(20);

/// What the janitor of one engine is made of.
pub(crate) struct Janitor {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) status: Arc<Status>,
    pub(crate) shutdown: watch::Receiver<bool>,
}

#[derive(Clone, Copy)]
enum Shelf {
    Inbox,
    Causes,
}

impl Janitor {
    /// Runs until shutdown. To stop half-way, at any point, is harmless.
    pub(crate) async fn run(self) {
        let mut shutdown = self.shutdown.clone();
        let holder = self.runtime.new_uuid().to_string();
        loop {
            let sleep = self.runtime.clock.sleep(self.limits.janitor_every);
            tokio::select! {
                biased;
                () = raised(&mut shutdown) => break,
                () = sleep => {}
            }
            let round = async {
                self.clean(Shelf::Inbox, &holder).await?;
                self.clean(Shelf::Causes, &holder).await
            };
            tokio::select! {
                biased;
                () = raised(&mut shutdown) => break,
                done = round => {
                    if let Err(error) = done {
                        tracing::debug!(%error, "the janitor comes again later");
                    }
                }
            }
        }
        // Should it fail, the lease expires by itself.
        let _ = self.store.release(LEASE, &holder).await;
    }

    /// Removes what is too old, few rows at a time, while the lease is ours.
    async fn clean(&self, shelf: Shelf, holder: &str) -> Result<(), StoreError> {
        let ttl = self.limits.janitor_every.saturating_mul(2);
        while self.store.lease(LEASE, holder, ttl).await?.is_some() {
            let rows = self.limits.janitor_rows_max;
            let now = self.runtime.clock.now();
            let counters = &self.status.counters;
            let (pruned, counter) = match shelf {
                Shelf::Inbox => {
                    let before = now.minus(self.limits.inbox_kept);
                    (self.store.prune_inbox(before, rows).await?, &counters.inbox_pruned)
                }
                Shelf::Causes => {
                    let before = now.minus(self.limits.answers_kept);
                    (self.store.prune_causes(before, rows).await?, &counters.causes_pruned)
                }
            };
            let pruned = usize::try_from(pruned).unwrap_or(usize::MAX);
            add(counter, pruned);
            if pruned < rows {
                return Ok(());
            }
            self.runtime.clock.sleep(PAUSE).await;
        }
        Ok(())
    }
}
