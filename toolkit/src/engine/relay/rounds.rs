//! What is to be published next: fresh events from memory while they join the tail without a gap, and
//! the store's otherwise. Each lane's numbers go out densely.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    id::{EventId, Lane, LaneSeq},
    log::{
        NewRecord,
        record::{ServiceIdentity, encode},
    },
    mutant::{Mutant, broken},
    store::{EventStore, RecordedEvent, StoreError},
    telemetry::metrics::Lag,
};

/// An event as an append hands it over.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) event: RecordedEvent,
    /// The id of the event before it in its lane; none when it is the first, or when nobody knows.
    pub(crate) follows: Option<EventId>,
}

/// What one round may hold. The record that goes beyond its bytes is its last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Most {
    fn is_reached(self, records: &[NewRecord], bytes: usize) -> bool {
        records.len() >= self.records || bytes >= self.bytes
    }
}

/// Where a lane stands when a tenure begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) lane: Lane,
    /// The last number that is in the log.
    pub(crate) published: LaneSeq,
    /// The event under that number: the log's and the store's.
    pub(crate) last: Option<EventId>,
    /// The last number that the store has.
    pub(crate) head: LaneSeq,
    /// The number of the lane's floor.
    pub(crate) floor: LaneSeq,
}

/// P8: the store has another event than we hold, so that it has lost some, and gone on without them.
/// The next comparison of log and store says what that means.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{lane:?}: in the store, another event than {expected} has number {seq}")]
pub(crate) struct Parted {
    lane: Lane,
    seq: LaneSeq,
    expected: EventId,
}

struct LaneQueue {
    /// The last number that is in the log.
    published: LaneSeq,
    /// The last number that is in the round being published.
    sent: LaneSeq,
    /// The last number that is in the next round; what is queued follows on from it.
    taken: LaneSeq,
    /// Events after `taken`, dense.
    queue: VecDeque<RecordedEvent>,
    /// The id under the last number that is published, taken or queued.
    last: Option<EventId>,
    /// The highest number that the store is known to have.
    known_head: LaneSeq,
    floor: LaneSeq,
    /// Where a floor that could not be written is tried again: the first number beyond it.
    floor_again: LaneSeq,
    /// The last number that was published when it was asked last whether the lane is quiet.
    looked_at: Option<LaneSeq>,
}

/// The lanes of one shard.
pub(crate) struct Rounds {
    lanes: BTreeMap<Lane, LaneQueue>,
    /// The next round, made while the last one is under way.
    prepared: Vec<NewRecord>,
    /// Payloads of the next round.
    prepared_bytes: usize,
    /// Where the next round begins, so that no lane starves.
    next: Option<Lane>,
    parted: Option<Parted>,
}

impl Rounds {
    pub(crate) fn new(places: Vec<Place>) -> Self {
        let lanes = places.into_iter().map(|place| {
            let queue = LaneQueue {
                published: place.published,
                sent: place.published,
                taken: place.published,
                queue: VecDeque::new(),
                last: place.last,
                known_head: place.head,
                floor: place.floor,
                floor_again: 0,
                looked_at: None,
            };
            (place.lane, queue)
        });
        Self {
            lanes: lanes.collect(),
            prepared: vec![],
            prepared_bytes: 0,
            next: None,
            parted: None,
        }
    }

    /// Takes events from memory, as far as they follow on: by number, and by the event before them.
    pub(crate) fn offer(&mut self, offered: Vec<Offered>) {
        for Offered { event, follows } in offered {
            let Some(published) = &event.published else { continue };
            let Some(lane) = self.lanes.get_mut(&published.lane) else { continue };
            lane.known_head = lane.known_head.max(published.lane_seq);
            let unasked = broken(Mutant::FreshWithoutJoin);
            let next = published.lane_seq == lane.end() + 1 || unasked;
            if !next || lane.queue.len() >= QUEUE_EVENTS_MAX {
                continue;
            }
            if follows == lane.last || unasked {
                lane.push(event);
            } else if let (Some(_), Some(expected)) = (follows, lane.last) {
                let (lane, seq) = (published.lane, lane.end());
                self.parted.get_or_insert(Parted { lane, seq, expected });
            }
            // Where nobody knows what it follows, the store is read.
        }
    }

    /// Reads from the store what memory does not have, for lanes that have run dry; and the event before
    /// that, which must be the one that we hold.
    pub(super) async fn refill(
        &mut self,
        store: &dyn EventStore,
        limit: usize,
    ) -> Result<(), StoreError> {
        for (id, lane) in &mut self.lanes {
            if !lane.queue.is_empty() || lane.known_head <= lane.taken {
                continue;
            }
            let Some(expected) = lane.last else {
                let events = store.read_lane(*id, lane.taken, limit).await?;
                events.into_iter().for_each(|event| lane.push(event));
                continue;
            };
            let events = store.read_lane(*id, lane.taken - 1, limit.saturating_add(1)).await?;
            let mut events = events.into_iter();
            if events.next().is_some_and(|event| event.id == expected) {
                events.for_each(|event| lane.push(event));
            } else {
                let (lane, seq) = (*id, lane.taken);
                self.parted.get_or_insert(Parted { lane, seq, expected });
            }
        }
        Ok(())
    }

    /// What was found out about the store, if it is not the one that was published from (P8).
    pub(crate) fn whole(&self) -> Result<(), Parted> {
        self.parted.clone().map_or(Ok(()), Err)
    }

    /// The same question for lanes that nothing is added to: is the last event that was published still the
    /// store's under its number?
    pub(super) async fn look_back(&mut self, store: &dyn EventStore) -> Result<(), StoreError> {
        for (id, lane) in &self.lanes {
            let Some(expected) = lane.last.filter(|_| lane.end() == lane.published) else {
                continue;
            };
            let stored = store.read_lane(*id, lane.published - 1, 1).await?;
            if stored.first().is_none_or(|event| event.id != expected) {
                self.parted = Some(Parted { lane: *id, seq: lane.published, expected });
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

    /// Makes records of what is queued, until the next round is full: each lane's in order.
    pub(crate) fn prepare(&mut self, identity: &ServiceIdentity, most: Most) {
        let first = self.next.unwrap_or(Lane(0));
        let order: Vec<Lane> =
            self.lanes.range(first..).chain(self.lanes.range(..first)).map(|(l, _)| *l).collect();
        for id in order {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            while !most.is_reached(&self.prepared, self.prepared_bytes) {
                let event = match broken(Mutant::LaneReversed) {
                    true => lane.queue.pop_back(),
                    false => lane.queue.pop_front(),
                };
                let Some(event) = event else { break };
                lane.taken = event.published.as_ref().map_or(lane.taken, |p| p.lane_seq);
                self.prepared_bytes += event.payload.len();
                self.prepared.extend(encode(identity, &event));
            }
            if self.is_full(most) {
                self.next = Some(id);
                break;
            }
        }
    }

    /// Whether the next round takes no more.
    pub(super) fn is_full(&self, most: Most) -> bool {
        most.is_reached(&self.prepared, self.prepared_bytes)
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
        self.prepared_bytes = 0;
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

    /// Lanes whose last events have no floor.
    pub(super) fn without_floor(&self) -> Vec<Lane> {
        let due = self.lanes.iter().filter(|(_, lane)| lane.published > lane.floor);
        due.map(|(id, _)| *id).collect()
    }

    /// Those of them that have published nothing since this was asked before. A lane that is at work needs no
    /// floor: retention keeps its last events.
    pub(super) fn quiet_without_floor(&mut self) -> Vec<Lane> {
        let mut quiet = vec![];
        for (id, lane) in &mut self.lanes {
            let before = lane.looked_at.replace(lane.published);
            if before == Some(lane.published) && lane.published > lane.floor {
                quiet.push(*id);
            }
        }
        quiet
    }

    /// A lane that has published more than `every` events since its floor was written, or since that could not be
    /// done a tenth of them. One at a time: rounds wait meanwhile.
    pub(super) fn far_from_floor(&mut self, every: LaneSeq) -> Option<Lane> {
        let due = |lane: &LaneQueue| lane.published > lane.floor_again.max(lane.floor + every);
        let (id, lane) = self.lanes.iter_mut().find(|(_, lane)| due(lane))?;
        lane.floor_again = lane.published + every / 10;
        Some(*id)
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
    fn push(&mut self, event: RecordedEvent) {
        self.last = Some(event.id);
        self.queue.push_back(event);
    }

    /// The last number that is published, taken or queued.
    fn end(&self) -> LaneSeq {
        self.taken + self.queue.len() as u64
    }
}

#[cfg(test)]
mod tests;
