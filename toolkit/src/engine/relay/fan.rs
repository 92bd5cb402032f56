//! The way of fresh events from the intake to the relays.

use tokio::sync::mpsc;

use super::rounds::Offered;
use crate::id::Lane;

/// Which shard publishes a lane, of so many (P9).
pub(crate) fn shard_of(lane: Lane, shards: usize) -> usize {
    lane.0 as usize % shards
}

/// Hands each relay the events of its lanes. One that is behind reads them from the store instead: nothing waits
/// here, and nothing is lost.
#[derive(Debug)]
pub(crate) struct Fan {
    shards: Vec<mpsc::Sender<Vec<Offered>>>,
}

impl Fan {
    /// For so many shards, each of which may be so many appends behind; and what each of them reads.
    pub(crate) fn new(
        shards: u32,
        appends_max: usize,
    ) -> (Self, Vec<mpsc::Receiver<Vec<Offered>>>) {
        let (shards, receivers) = (0..shards).map(|_| mpsc::channel(appends_max.max(1))).unzip();
        (Self { shards }, receivers)
    }

    pub(crate) fn hand_over(&self, events: Vec<Offered>) {
        if let [only] = &self.shards[..] {
            let _ = only.try_send(events);
            return;
        }
        let mut parts: Vec<Vec<Offered>> = self.shards.iter().map(|_| vec![]).collect();
        for offered in events {
            let Some(published) = &offered.event.published else { continue };
            parts[shard_of(published.lane, self.shards.len())].push(offered);
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            if !part.is_empty() {
                let _ = shard.try_send(part);
            }
        }
    }
}
