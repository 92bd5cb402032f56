//! A member of a consumer group, to whom records come late, again, or not at all.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt as _;

use super::{faults::Fault, node::Node, plan::Site};
use crate::{
    id::SourceLane,
    log::{Delivery, LogError, LogRecord, Subscription},
    runtime::Timestamp,
};

const DELIVERY: &[Fault] =
    &[Fault::CrashBefore, Fault::LogUnavailable, Fault::Again, Fault::Late, Fault::Expelled];

/// The records of a lane that are held up.
#[derive(Debug)]
struct HeldUp {
    until: Timestamp,
    records: VecDeque<LogRecord>,
}

#[derive(Debug)]
pub(super) struct SimSubscription {
    node: Node,
    inner: Option<Box<dyn Subscription>>,
    held_up: BTreeMap<SourceLane, HeldUp>,
    /// It is about to hear that it was put out: nothing reaches it any more.
    cut_off: bool,
}

impl SimSubscription {
    pub(super) fn new(node: Node, inner: Box<dyn Subscription>) -> Self {
        Self { node, inner: Some(inner), held_up: BTreeMap::new(), cut_off: false }
    }

    fn gone() -> LogError {
        LogError::Unavailable("simulated: the connection is gone".into())
    }

    /// Records whose delay is over.
    fn due(&mut self, max: usize) -> Option<Vec<LogRecord>> {
        let now = self.node.core().exec.now();
        let lane = self.held_up.iter().find(|(_, held)| held.until <= now)?.0.clone();
        let held = self.held_up.get_mut(&lane)?;
        let count = held.records.len().min(max);
        let records = held.records.drain(..count).collect();
        if held.records.is_empty() {
            self.held_up.remove(&lane);
        }
        Some(records)
    }

    /// Nothing overtakes within a lane.
    fn behind_the_held_up(&mut self, records: Vec<LogRecord>) -> Vec<LogRecord> {
        let mut free = vec![];
        for record in records {
            match self.held_up.get_mut(&record.source) {
                Some(held) => held.records.push_back(record),
                None => free.push(record),
            }
        }
        free
    }

    /// What becomes of records that have arrived; `None` when nothing is left to deliver now.
    fn judge(&mut self, records: Vec<LogRecord>) -> Option<Result<Delivery, LogError>> {
        if self.cut_off {
            return None;
        }
        let records = self.behind_the_held_up(records);
        if records.is_empty() {
            return None;
        }
        let core = self.node.core().clone();
        core.changed();
        let site = core.site(self.node.place(), "delivery");
        match core.decide(&site, DELIVERY) {
            Some(Fault::CrashBefore) => {
                self.node.die(self.node.restart_after(&site));
                return None;
            }
            Some(Fault::LogUnavailable) => return Some(Err(Self::gone())),
            Some(Fault::Expelled) => {
                self.cut_off = true;
                self.held_up.clear();
                self.node.expel_after(Duration::ZERO);
                return None;
            }
            Some(Fault::Late) => return self.hold_up(&site, records).map(Ok),
            Some(Fault::Again) => self.repeat(&site, &records),
            _ => {}
        }
        Some(Ok(self.deliver(records)))
    }

    fn deliver(&self, records: Vec<LogRecord>) -> Delivery {
        super::witness::delivered(self.node.core(), self.node.place(), &records);
        Delivery::Records(records)
    }

    fn hold_up(&mut self, site: &Site, records: Vec<LogRecord>) -> Option<Delivery> {
        let core = self.node.core().clone();
        let mut dice = site.dice(core.seed, "lane");
        let lane = records[dice.index(records.len())].source.clone();
        let until = core.exec.now().plus(core.some_time(site, "late", 5, 8_000));
        let (late, free): (Vec<_>, Vec<_>) = records.into_iter().partition(|r| r.source == lane);
        self.held_up.insert(lane, HeldUp { until, records: late.into() });
        (!free.is_empty()).then(|| self.deliver(free))
    }

    /// A lane is read again from some way back.
    fn repeat(&mut self, site: &Site, records: &[LogRecord]) {
        let mut dice = site.dice(self.node.core().seed, "lane");
        let record = &records[dice.index(records.len())];
        let back = i64::try_from(dice.below(12)).unwrap_or(0);
        let offset = record.offset.saturating_sub(back).max(0);
        if let Some(inner) = &mut self.inner {
            // A member that was put out meanwhile hears of it with its next delivery.
            let _ = inner.seek(&record.source, offset).now_or_never();
        }
    }
}

#[async_trait]
impl Subscription for SimSubscription {
    async fn next(&mut self, max: usize) -> Result<Delivery, LogError> {
        loop {
            if self.node.is_dead() {
                pending::<()>().await;
            }
            if let Some(records) = self.due(max) {
                return Ok(self.deliver(records));
            }
            let exec = &self.node.core().exec;
            let wait = self.held_up.values().map(|held| held.until).min();
            let wait = exec.sleep(wait.map_or(Duration::MAX, |at| at.since(exec.now())));
            let Some(inner) = &mut self.inner else { return Err(Self::gone()) };
            let delivery = tokio::select! {
                biased;
                delivery = inner.next(max) => delivery?,
                () = wait => continue,
            };
            match delivery {
                Delivery::Records(records) => {
                    if let Some(delivery) = self.judge(records) {
                        return delivery;
                    }
                }
                Delivery::Revoked(lanes) => {
                    self.held_up.retain(|lane, _| !lanes.contains(lane));
                    self.node.core().note(self.node.place(), "revoked", lanes.len() as u64);
                    self.node.core().changed();
                    return Ok(Delivery::Revoked(lanes));
                }
                Delivery::Assigned(lanes) => {
                    self.node.core().note(self.node.place(), "assigned", lanes.len() as u64);
                    self.node.core().changed();
                    return Ok(Delivery::Assigned(lanes));
                }
            }
        }
    }

    async fn seek(&mut self, source: &SourceLane, offset: i64) -> Result<(), LogError> {
        self.held_up.remove(source);
        let Some(inner) = &mut self.inner else { return Err(Self::gone()) };
        self.node.write("seek", inner.seek(source, offset)).await
    }

    async fn pause(&mut self, source: &SourceLane) -> Result<(), LogError> {
        self.held_up.remove(source);
        let Some(inner) = &mut self.inner else { return Err(Self::gone()) };
        self.node.write("pause", inner.pause(source)).await
    }

    async fn note_progress(
        &mut self,
        source: &SourceLane,
        next_offset: i64,
    ) -> Result<(), LogError> {
        let Some(inner) = &mut self.inner else { return Err(Self::gone()) };
        inner.note_progress(source, next_offset).await
    }
}

impl Drop for SimSubscription {
    /// The living leave their group; the dead say nothing.
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take().filter(|_| self.node.is_dead()) {
            self.node.core().graveyard().push(inner);
        }
    }
}
