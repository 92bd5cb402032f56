//! The narrator: reads what the services have published, lane by lane, straight from their stores.

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;
use quadrille::{
    id::{Lane, LaneSeq},
    store::{EventStore, RecordedEvent},
};

/// Events that are read in one go.
const EVENTS_PER_READ: usize = 2_000;

/// Follows the public events of one service.
pub(crate) struct Narrator {
    pub(crate) service: &'static str,
    store: Arc<dyn EventStore>,
    read: HashMap<Lane, LaneSeq>,
}

impl Narrator {
    pub(crate) fn new(service: &'static str, store: Arc<dyn EventStore>) -> Self {
        Self { service, store, read: HashMap::new() }
    }

    /// Tells every event that is new since the last call, each lane's in order. Returns how many.
    pub(crate) async fn tell(
        &mut self,
        mut listen: impl FnMut(&RecordedEvent) -> Result<()>,
    ) -> Result<u64> {
        let mut told = 0;
        for (lane, head) in (0u32..).map(Lane).zip(self.store.lane_heads().await?) {
            let read = self.read.entry(lane).or_insert(0);
            while *read < head {
                let events = self.store.read_lane(lane, *read, EVENTS_PER_READ).await?;
                if events.is_empty() {
                    break;
                }
                for event in &events {
                    listen(event)?;
                    told += 1;
                }
                *read += events.len() as u64;
            }
        }
        Ok(told)
    }
}
