//! What the thread of a subscription and its handle share. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    id::SourceLane,
    log::{
        Delivery, LogError, LogRecord,
        kafka::{config::KafkaLimits, convert, error::unavailable_because},
    },
};

/// What the handle wants of a lane; the last wish counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    ReadFrom(i64),
    Pause,
}

/// A lane that is ours.
#[derive(Clone, Copy, Debug, Default)]
struct Owned {
    /// Records are wanted, and this is the next offset to come; `None` before a seek and in a pause.
    next: Option<i64>,
    want: Option<Want>,
}

#[derive(Debug, Default)]
struct State {
    owned: BTreeMap<SourceLane, Owned>,
    /// Ours, and the handle does not know it yet.
    fresh: BTreeSet<SourceLane>,
    /// Was ours, and the handle believes that it still is.
    lost: BTreeSet<SourceLane>,
    records: VecDeque<LogRecord>,
    bytes: usize,
    progress: BTreeMap<SourceLane, i64>,
    /// The thread waits for room.
    full: bool,
    closed: bool,
    failed: Option<String>,
}

/// What a call of `next` gets.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) delivery: Option<Delivery>,
    /// The thread waited for room, and there is some now.
    pub(super) made_room: bool,
}

/// The desk between thread and handle.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// Something for the handle.
    pub(super) news: Notify,
    records_max: usize,
    bytes_max: usize,
    topics: BTreeSet<Arc<str>>,
    /// The event types that the handle wants in full, once it has said so.
    types: OnceLock<BTreeSet<Box<str>>>,
}

impl Desk {
    pub(super) fn new(limits: &KafkaLimits, topics: &[Arc<str>]) -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            records_max: limits.buffered_records_max,
            bytes_max: limits.buffered_bytes_max,
            topics: topics.iter().cloned().collect(),
            types: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic's name as all records share it.
    pub(super) fn topic(&self, name: &str) -> Arc<str> {
        self.topics.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// The event types that are wanted in full; `None` when all are.
    pub(super) fn types(&self) -> Option<&BTreeSet<Box<str>>> {
        self.types.get()
    }

    // The handle's side.

    /// The first wish counts.
    pub(super) fn narrow(&self, types: &[String]) {
        self.types.get_or_init(|| types.iter().map(|name| name.as_str().into()).collect());
    }

    /// What there is for the handle: lanes lost, lanes won, records.
    pub(super) fn take(&self, max: usize) -> Result<Taken, LogError> {
        let mut state = self.lock();
        if let Some(reason) = &state.failed {
            return Err(unavailable_because(reason.clone()));
        }
        let delivery = state.take(max);
        let made_room = state.full && state.has_room(self.records_max / 2, self.bytes_max / 2);
        state.full &= !made_room;
        Ok(Taken { delivery, made_room })
    }

    /// Without effect on a lane that is not ours, or that was lost and won again unbeknownst to the handle.
    pub(super) fn want(&self, source: &SourceLane, want: Want) {
        let mut state = self.lock();
        if state.fresh.contains(source) || state.lost.contains(source) {
            return;
        }
        let Some(lane) = state.owned.get_mut(source) else { return };
        lane.next = None;
        lane.want = Some(want);
        state.forget_records(source);
    }

    pub(super) fn note(&self, source: &SourceLane, next_offset: i64) {
        let mut state = self.lock();
        if state.owned.contains_key(source) {
            state.progress.insert(source.clone(), next_offset);
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    // The thread's side.

    pub(super) fn assigned(&self, lanes: impl IntoIterator<Item = SourceLane>) {
        let mut state = self.lock();
        for lane in lanes {
            state.owned.insert(lane.clone(), Owned::default());
            state.fresh.insert(lane);
        }
        drop(state);
        self.news.notify_one();
    }

    pub(super) fn revoked(&self, lanes: impl IntoIterator<Item = SourceLane>) {
        let mut state = self.lock();
        for lane in lanes {
            if state.owned.remove(&lane).is_none() {
                continue;
            }
            state.forget_records(&lane);
            state.progress.remove(&lane);
            // Who never heard of it need not hear that it is gone.
            if !state.fresh.remove(&lane) {
                state.lost.insert(lane);
            }
        }
        drop(state);
        self.news.notify_one();
    }

    /// What the handle wants and has not got yet.
    pub(super) fn wants(&self) -> Vec<(SourceLane, Want)> {
        let state = self.lock();
        let wants = state.owned.iter().filter_map(|(lane, owned)| Some((lane, owned.want?)));
        wants.map(|(lane, want)| (lane.clone(), want)).collect()
    }

    /// It was done, unless the handle wants something else by now.
    pub(super) fn done(&self, source: &SourceLane, want: Want) {
        if let Some(lane) = self.lock().owned.get_mut(source)
            && lane.want == Some(want)
        {
            lane.want = None;
            lane.next = match want {
                Want::ReadFrom(offset) => Some(offset),
                Want::Pause => None,
            };
        }
    }

    /// Puts records down, those that are wanted. `false` when there is something else to do before the next:
    /// there is no more room, or the handle has a wish.
    pub(super) fn put(&self, records: impl IntoIterator<Item = LogRecord>) -> bool {
        let mut state = self.lock();
        let was_empty = state.records.is_empty();
        for record in records {
            if let Some(Owned { next: Some(next), .. }) = state.owned.get_mut(&record.source) {
                *next = record.offset + 1;
                state.bytes += convert::size(&record);
                state.records.push_back(record);
            }
        }
        let first = was_empty && !state.records.is_empty();
        let wishes = state.owned.values().any(|lane| lane.want.is_some());
        let go_on = !wishes && state.has_room(self.records_max, self.bytes_max);
        drop(state);
        if first {
            self.news.notify_one();
        }
        go_on
    }

    /// Whether there is room for more. If not, the next `take` that makes some says so.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.lock();
        let room = state.has_room(self.records_max, self.bytes_max);
        state.full = !room;
        room
    }

    /// The lanes that are read.
    pub(super) fn reading(&self) -> Vec<SourceLane> {
        let state = self.lock();
        let reading = state.owned.iter().filter(|(_, owned)| owned.next.is_some());
        reading.map(|(lane, _)| lane.clone()).collect()
    }

    /// Each lane that is read wishes to be read on after the last record that was put down.
    pub(super) fn read_on(&self) {
        for lane in self.lock().owned.values_mut() {
            if let Some(next) = lane.next.take() {
                lane.want = Some(Want::ReadFrom(next));
            }
        }
    }

    pub(super) fn progress(&self) -> BTreeMap<SourceLane, i64> {
        std::mem::take(&mut self.lock().progress)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Nothing more will come.
    pub(super) fn fail(&self, reason: String) {
        self.lock().failed.get_or_insert(reason);
        self.news.notify_one();
    }
}

impl State {
    fn take(&mut self, max: usize) -> Option<Delivery> {
        if !self.lost.is_empty() {
            return Some(Delivery::Revoked(std::mem::take(&mut self.lost).into_iter().collect()));
        }
        if !self.fresh.is_empty() {
            return Some(Delivery::Assigned(std::mem::take(&mut self.fresh).into_iter().collect()));
        }
        if self.records.is_empty() {
            return None;
        }
        let count = max.min(self.records.len());
        let records: Vec<_> = self.records.drain(..count).collect();
        self.bytes -= records.iter().map(convert::size).sum::<usize>();
        Some(Delivery::Records(records))
    }

    fn has_room(&self, records_max: usize, bytes_max: usize) -> bool {
        self.records.len() <= records_max && self.bytes <= bytes_max
    }

    fn forget_records(&mut self, source: &SourceLane) {
        self.records.retain(|record| record.source != *source);
        self.bytes = self.records.iter().map(convert::size).sum();
    }
}

#[cfg(test)]
mod tests;
