//! What is stored, and the reads that need no more than a look.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{agenda::AgendaRow, lease::LeaseRow};
use crate::{
    id::{AgendaId, CauseId, Lane, LaneSeq, SourceLane, StreamId, Version},
    runtime::Timestamp,
    store::{
        Appended, Floor, Gap, HeldMessage, InboxEntry, Position, RecordedEvent, Registered,
        Registration, Ruling, ShardChange, StoreError, StreamRead, StreamSlice,
    },
};

/// Ordered maps only: an iteration must not differ from run to run.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) identity: Option<Registration>,
    /// The number of the last change of the shards, and whether it is under way.
    pub(super) change: (u64, bool),
    pub(super) streams: BTreeMap<StreamId, Vec<Arc<RecordedEvent>>>,
    pub(super) lanes: Vec<Vec<Arc<RecordedEvent>>>,
    pub(super) positions: BTreeMap<SourceLane, PositionRow>,
    pub(super) causes: BTreeMap<CauseId, CauseRow>,
    pub(super) inbox: BTreeMap<InboxEntry, Timestamp>,
    pub(super) held: BTreeMap<(SourceLane, String), HeldMessage>,
    pub(super) agenda: BTreeMap<AgendaId, AgendaRow>,
    pub(super) snapshots: BTreeMap<(StreamId, u32), (Version, Bytes)>,
    pub(super) gaps: BTreeSet<(SourceLane, LaneSeq, LaneSeq)>,
    pub(super) floors: BTreeMap<Lane, Floor>,
    pub(super) rulings: Vec<Ruling>,
    pub(super) leases: BTreeMap<String, LeaseRow>,
}

#[derive(Clone)]
pub(super) struct PositionRow {
    pub(super) epoch: u64,
    pub(super) position: Position,
    pub(super) consumes: BTreeSet<String>,
}

#[derive(Clone)]
pub(super) struct CauseRow {
    pub(super) at: Timestamp,
    /// Set for the cause of an append.
    pub(super) appended: Option<Appended>,
    /// Set for a command with an answer.
    pub(super) answer: Option<Bytes>,
}

impl State {
    pub(super) fn register(&mut self, asked: &Registration) -> Result<Registered, StoreError> {
        let Some(own) = &self.identity else {
            if asked.lanes == 0 || asked.shards == 0 {
                return Err(StoreError::Mismatch("a store needs a lane and a shard".into()));
            }
            self.lanes = vec![Vec::new(); asked.lanes as usize];
            self.identity = Some(asked.clone());
            return Ok(Registered { shards: asked.shards, closed: false });
        };
        if own.service != asked.service {
            return Err(StoreError::Mismatch(format!(
                "it belongs to the service {:?}, not to {:?}",
                own.service, asked.service
            )));
        }
        if own.lanes != asked.lanes {
            return Err(StoreError::Mismatch(format!(
                "it has {} lanes for ever, not {}",
                own.lanes, asked.lanes
            )));
        }
        Ok(Registered { shards: own.shards, closed: self.change.1 })
    }

    pub(super) fn close_shards(&mut self) -> Result<ShardChange, StoreError> {
        let Some(own) = &self.identity else {
            return Err(StoreError::Mismatch("no service has registered here".into()));
        };
        self.change = (self.change.0 + 1, true);
        Ok(ShardChange { number: self.change.0, shards: own.shards })
    }

    pub(super) fn open_shards(&mut self, change: u64, shards: u32) -> Result<bool, StoreError> {
        if shards == 0 {
            return Err(StoreError::Mismatch("a store needs a shard".into()));
        }
        match &mut self.identity {
            Some(own) if self.change == (change, true) => {
                own.shards = shards;
                self.change.1 = false;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn head(&self, stream: &StreamId) -> Version {
        self.streams.get(stream).map_or(0, |events| events.len() as Version)
    }

    pub(super) fn slice(&self, read: &StreamRead) -> StreamSlice {
        let Some(events) = self.streams.get(&read.stream) else { return StreamSlice::default() };
        let snapshot = self.snapshots.get(&(read.stream.clone(), read.snapshot_version)).cloned();
        let after = snapshot.as_ref().map_or(0, |(version, _)| index(*version));
        StreamSlice {
            snapshot,
            events: events.iter().skip(after).map(|event| (**event).clone()).collect(),
            version: events.len() as Version,
            first_saga: events.first().map(|event| event.saga),
        }
    }

    pub(super) fn read_lane(&self, lane: Lane, after: LaneSeq, limit: usize) -> Vec<RecordedEvent> {
        let events = self.lanes.get(lane.0 as usize).map_or(&[][..], Vec::as_slice);
        events.iter().skip(index(after)).take(limit).map(|event| (**event).clone()).collect()
    }

    pub(super) fn set_floor(&mut self, floor: &Floor) {
        let newer = |old: &Floor| old.topic_id == floor.topic_id && old.lane_seq > floor.lane_seq;
        if !self.floors.get(&floor.lane).is_some_and(newer) {
            self.floors.insert(floor.lane, floor.clone());
        }
    }

    pub(super) fn gaps(&self, limit: usize) -> Vec<Gap> {
        let gap = |(source, from, to): &(SourceLane, _, _)| Gap {
            source: source.clone(),
            from: *from,
            to: *to,
        };
        self.gaps.iter().take(limit).map(gap).collect()
    }

    pub(super) fn prune_causes(&mut self, before: Timestamp, limit: usize) -> u64 {
        prune(&mut self.causes, limit, |row| row.at < before)
    }

    pub(super) fn prune_inbox(&mut self, before: Timestamp, limit: usize) -> u64 {
        prune(&mut self.inbox, limit, |at| *at < before)
    }
}

fn prune<K: Ord, V>(rows: &mut BTreeMap<K, V>, limit: usize, is_old: impl Fn(&V) -> bool) -> u64 {
    let mut pruned = 0;
    rows.retain(|_, row| {
        let goes = pruned < limit && is_old(row);
        pruned += usize::from(goes);
        !goes
    });
    pruned as u64
}

/// A number that counts from 1 as an index; beyond the address space there is nothing stored.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
