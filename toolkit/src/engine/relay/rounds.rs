//! What is to be published next: fresh events from memory while they join the tail without a gap, and
//! the store's otherwise. Each lane's numbers go out densely.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    id::{Lane, LaneSeq},
    log::{
        NewRecord,
        record::{ServiceIdentity, encode},
    },
    mutant::{Mutant, broken},
    store::{EventStore, RecordedEvent, StoreError},
    telemetry::metrics::Lag,
};

struct LaneQueue {
    /// The last number that is in the log.
    published: LaneSeq,
    /// The last number that is in the round being published.
    sent: LaneSeq,
    /// The last number that is in the next round; what is queued follows on from it.
    taken: LaneSeq,
    /// Events after `taken`, dense.
    queue: VecDeque<RecordedEvent>,
    /// The highest number that the store is known to have.
    known_head: LaneSeq,
    floor: LaneSeq,
}

/// The lanes of one shard.
pub(crate) struct Rounds {
    lanes: BTreeMap<Lane, LaneQueue>,
    /// The next round, made while the last one is under way.
    prepared: Vec<NewRecord>,
    /// Where the next round begins, so that no lane starves.
    next: Option<Lane>,
}

impl Rounds {
    /// Each lane with the last number in the log, the last one in the store, and that of its floor.
    pub(crate) fn new(positions: Vec<(Lane, LaneSeq, LaneSeq, LaneSeq)>) -> Self {
        let lanes = positions.into_iter().map(|(lane, published, head, floor)| {
            let queue = LaneQueue {
                published,
                sent: published,
                taken: published,
                queue: VecDeque::new(),
                known_head: head,
                floor,
            };
            (lane, queue)
        });
        Self { lanes: lanes.collect(), prepared: vec![], next: None }
    }

    /// Takes events from memory, as far as they follow on.
    pub(crate) fn offer(&mut self, events: &[RecordedEvent]) {
        for event in events {
            let Some(published) = &event.published else { continue };
            let Some(lane) = self.lanes.get_mut(&published.lane) else { continue };
            lane.known_head = lane.known_head.max(published.lane_seq);
            let joins = published.lane_seq == lane.end() + 1 || broken(Mutant::FreshWithoutJoin);
            if joins && lane.queue.len() < QUEUE_EVENTS_MAX {
                lane.queue.push_back(event.clone());
            }
        }
    }

    /// Reads from the store what memory does not have, for lanes that have run dry.
    pub(super) async fn refill(
        &mut self,
        store: &dyn EventStore,
        limit: usize,
    ) -> Result<(), StoreError> {
        for (id, lane) in &mut self.lanes {
            if lane.queue.is_empty() && lane.known_head > lane.taken {
                lane.queue.extend(store.read_lane(*id, lane.taken, limit).await?);
            }
        }
        Ok(())
    }

    /// Asks the store how far the lanes have come: other instances append too. False when it ends
    /// before what is published.
    pub(super) async fn look(&mut self, store: &dyn EventStore) -> Result<bool, StoreError> {
        let heads = store.lane_heads().await?;
        let mut whole = true;
        for (id, lane) in &mut self.lanes {
            let head = heads.get(id.0 as usize).copied().unwrap_or(0);
            whole &= head >= lane.published;
            lane.known_head = lane.known_head.max(head);
        }
        Ok(whole)
    }

    /// Makes records of what is queued, until the next round has `max`: each lane's in order.
    pub(crate) fn prepare(&mut self, identity: &ServiceIdentity, max: usize) {
        let first = self.next.unwrap_or(Lane(0));
        let order: Vec<Lane> =
            self.lanes.range(first..).chain(self.lanes.range(..first)).map(|(l, _)| *l).collect();
        for id in order {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            while self.prepared.len() < max {
                let event = match broken(Mutant::LaneReversed) {
                    true => lane.queue.pop_back(),
                    false => lane.queue.pop_front(),
                };
                let Some(event) = event else { break };
                lane.taken = event.published.as_ref().map_or(lane.taken, |p| p.lane_seq);
                self.prepared.extend(encode(identity, &event));
            }
            if self.prepared.len() >= max {
                self.next = Some(id);
                break;
            }
        }
    }

    /// How many records the next round has so far.
    pub(super) fn prepared(&self) -> usize {
        self.prepared.len()
    }

    /// The next round, to be published now.
    pub(crate) fn take(&mut self) -> Vec<NewRecord> {
        for lane in self.lanes.values_mut() {
            lane.sent = lane.taken;
        }
        std::mem::take(&mut self.prepared)
    }

    /// The round is in the log.
    pub(super) fn published(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.published = lane.sent;
        }
    }

    /// How far the log is behind. To be asked between rounds, when nothing is taken but not published.
    pub(super) fn lag(&self) -> Lag {
        let lanes = self.lanes.values();
        let behind = |lane: &LaneQueue| lane.known_head.saturating_sub(lane.published);
        Lag {
            events: lanes.clone().map(behind).sum(),
            oldest: lanes.filter_map(|lane| lane.queue.front()).map(|event| event.time).min(),
        }
    }

    /// Whether everything that the store is known to have is in the log.
    pub(super) fn is_level(&self) -> bool {
        self.lanes.values().all(|lane| lane.published >= lane.known_head)
    }

    pub(super) fn position(&self, lane: Lane) -> LaneSeq {
        self.lanes.get(&lane).map_or(0, |lane| lane.published)
    }

    /// Lanes that have published more than `every` events since their floor was written.
    pub(super) fn floors_due(&self, every: LaneSeq) -> Vec<Lane> {
        self.lanes
            .iter()
            .filter(|(_, l)| l.published > l.floor + every)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn floor_written(&mut self, lane: Lane) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.floor = lane.published;
        }
    }
}

/// Events of one lane that wait in memory; beyond it they are read from the store.
const QUEUE_EVENTS_MAX: usize = 10_000;

impl LaneQueue {
    /// The last number that is published, taken or queued.
    fn end(&self) -> LaneSeq {
        self.taken + self.queue.len() as u64
    }
}
