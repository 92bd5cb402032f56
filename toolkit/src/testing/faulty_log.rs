//! A log whose faults are scripted, around any other.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::turnstile::Turnstile;
use crate::{
    id::{Lane, LaneSeq, SourceLane},
    log::{
        Backwards, Contact, Delivery, Doubt, EventLog, Found, LogError, LogRecord, NewRecord,
        Publisher, Subscription, TopicSpec,
    },
};

/// How many records a subscription remembers, to bring them again.
pub const HISTORY_RECORDS_MAX: usize = 1_000;

/// What happens to the next publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishFault {
    /// Nothing: it goes through.
    None,
    /// It is committed, and reported as in doubt.
    DoubtCommitted,
    /// It is not in the log, and reported as in doubt.
    DoubtLost,
    /// Another publisher of the id comes first: this one is really fenced.
    Fenced,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Calls of `publish`.
    pub publishes: u64,
    /// Publishes that were committed and reported as in doubt.
    pub doubts_committed: u64,
    /// Publishes that were lost and reported as in doubt.
    pub doubts_lost: u64,
    /// Publishes that were fenced on purpose.
    pub fenced: u64,
    /// Calls that were answered with `Unavailable`.
    pub unavailable: u64,
    /// Records that were delivered again.
    pub redelivered: u64,
    /// Times that records were held back.
    pub held: u64,
}

#[derive(Debug, Default)]
struct Script {
    publishes: VecDeque<PublishFault>,
    publishers_unavailable: u32,
    read_backs_unavailable: u32,
    marks_pending: u32,
    finds_unavailable: u32,
    held: BTreeSet<SourceLane>,
    /// Numbered, so that each subscription brings each range once.
    redeliveries: Vec<(SourceLane, i64, i64)>,
    counts: FaultCounts,
}

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<Script>,
    changed: Mutex<Vec<std::sync::Weak<Notify>>>,
    last_asked: Turnstile,
    read_back: Turnstile,
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_subscriptions(&self) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.retain(|wake| wake.upgrade().inspect(|wake| wake.notify_one()).is_some());
    }
}

/// Wraps a log; without a script it changes nothing. A clone is another handle of the same.
pub struct FaultyLog<L> {
    inner: Arc<L>,
    shared: Arc<Shared>,
}

impl<L> Clone for FaultyLog<L> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), shared: Arc::clone(&self.shared) }
    }
}

impl<L: fmt::Debug> fmt::Debug for FaultyLog<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {:?}", self.inner)
    }
}

impl<L: EventLog> FaultyLog<L> {
    /// Wraps a log.
    #[must_use]
    pub fn new(inner: L) -> Self {
        Self { inner: Arc::new(inner), shared: Arc::default() }
    }

    /// The log inside.
    #[must_use]
    pub fn inner(&self) -> &L {
        &self.inner
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.shared.script().counts
    }

    /// Appends to the script of publishes: the next one without a fault gets the first of these.
    pub fn next_publishes(&self, faults: impl IntoIterator<Item = PublishFault>) {
        self.shared.script().publishes.extend(faults);
    }

    /// The next `times` calls of `publisher` find the log unavailable.
    pub fn publishers_unavailable(&self, times: u32) {
        self.shared.script().publishers_unavailable = times;
    }

    /// The next `times` calls of `read_back` find the log unavailable.
    pub fn read_backs_unavailable(&self, times: u32) {
        self.shared.script().read_backs_unavailable = times;
    }

    /// The next `times` that the last record of a lane is asked for, the mark behind it is not written yet.
    pub fn marks_pending(&self, times: u32) {
        self.shared.script().marks_pending = times;
    }

    /// Where calls of `read_back` for the last record alone wait before they begin.
    #[must_use]
    pub fn last_record_is_asked(&self) -> &Turnstile {
        &self.shared.last_asked
    }

    /// Where calls of `read_back` wait with their answer.
    #[must_use]
    pub fn read_back_is_answered(&self) -> &Turnstile {
        &self.shared.read_back
    }

    /// The next `times` calls of `find` find the log unavailable.
    pub fn finds_unavailable(&self, times: u32) {
        self.shared.script().finds_unavailable = times;
    }

    /// Brings the records from offset `from` to before `to` again, from all subscriptions that have
    /// delivered them and still have the lane.
    pub fn redeliver(&self, source: &SourceLane, from: i64, to: i64) {
        self.shared.script().redeliveries.push((source.clone(), from, to));
        self.shared.tell_subscriptions();
    }

    /// Brings nothing from the lane until [`release`](Self::release).
    pub fn hold(&self, source: &SourceLane) {
        self.shared.script().held.insert(source.clone());
        self.shared.tell_subscriptions();
    }

    /// Lets a lane that was held go on where it stopped.
    pub fn release(&self, source: &SourceLane) {
        self.shared.script().held.remove(source);
        self.shared.tell_subscriptions();
    }

    fn takes_a_pending_mark(&self) -> bool {
        let mut script = self.shared.script();
        let takes = script.marks_pending > 0;
        script.marks_pending -= u32::from(takes);
        takes
    }

    fn fail(&self, pick: impl FnOnce(&mut Script) -> &mut u32) -> Result<(), LogError> {
        let mut script = self.shared.script();
        let left = pick(&mut script);
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        script.counts.unavailable += 1;
        Err(LogError::Unavailable("unavailable on purpose".into()))
    }
}

#[async_trait]
impl<L: EventLog> EventLog for FaultyLog<L> {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.inner.ensure_topic(spec).await
    }

    async fn lanes_of(&self, topic: &str) -> Result<u32, LogError> {
        self.inner.lanes_of(topic).await
    }

    async fn publisher(&self, id: &str, topic: &str) -> Result<Box<dyn Publisher>, LogError> {
        self.fail(|script| &mut script.publishers_unavailable)?;
        let inner = self.inner.publisher(id, topic).await?;
        Ok(Box::new(FaultyPublisher {
            log: self.clone(),
            id: id.into(),
            topic: topic.into(),
            inner,
        }))
    }

    async fn read_back(&self, source: &SourceLane, count: usize) -> Result<Backwards, LogError> {
        self.fail(|script| &mut script.read_backs_unavailable)?;
        if count == 1 {
            self.shared.last_asked.pass().await;
        }
        let mut back = self.inner.read_back(source, count).await?;
        if count == 1 && self.takes_a_pending_mark() {
            back.stable = false;
            back.end_offset -= 1;
        }
        self.shared.read_back.pass().await;
        Ok(back)
    }

    async fn find(&self, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError> {
        self.fail(|script| &mut script.finds_unavailable)?;
        self.inner.find(source, seq).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Box<dyn Subscription>, LogError> {
        let inner = self.inner.subscribe(group, topics).await?;
        let wake = Arc::new(Notify::new());
        let mut changed = self.shared.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.push(Arc::downgrade(&wake));
        Ok(Box::new(FaultySubscription {
            inner,
            shared: Arc::clone(&self.shared),
            wake,
            arrived: None,
            history: VecDeque::new(),
            held_at: BTreeMap::new(),
            redeliveries_seen: self.shared.script().redeliveries.len(),
        }))
    }
}

#[derive(Debug)]
struct FaultyPublisher<L: EventLog> {
    log: FaultyLog<L>,
    id: String,
    topic: String,
    inner: Box<dyn Publisher>,
}

#[async_trait]
impl<L: EventLog> Publisher for FaultyPublisher<L> {
    async fn publish(
        mut self: Box<Self>,
        records: Vec<NewRecord>,
    ) -> Result<Box<dyn Publisher>, Doubt> {
        let fault = {
            let mut script = self.log.shared.script();
            let fault = script.publishes.pop_front().unwrap_or(PublishFault::None);
            let counts = &mut script.counts;
            counts.publishes += 1;
            match fault {
                PublishFault::None => {}
                PublishFault::DoubtCommitted => counts.doubts_committed += 1,
                PublishFault::DoubtLost => counts.doubts_lost += 1,
                PublishFault::Fenced => counts.fenced += 1,
            }
            fault
        };
        match fault {
            PublishFault::DoubtLost => return Err(doubt("lost on purpose")),
            PublishFault::Fenced => {
                let later = self.log.inner.publisher(&self.id, &self.topic).await;
                drop(later.map_err(|error| doubt(&error.to_string()))?);
            }
            _ => {}
        }
        self.inner = self.inner.publish(records).await?;
        match fault {
            PublishFault::DoubtCommitted => Err(doubt("committed, in doubt on purpose")),
            _ => Ok(self),
        }
    }

    async fn abort_hanging(self: Box<Self>, lanes: &[Lane]) -> Result<(), Doubt> {
        self.inner.abort_hanging(lanes).await
    }
}

fn doubt(reason: &str) -> Doubt {
    Doubt { reason: reason.to_owned(), fenced: false }
}

#[derive(Debug)]
struct FaultySubscription {
    inner: Box<dyn Subscription>,
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    /// What the inner one has brought and nobody has got yet: `next` may be dropped at any await.
    arrived: Option<Delivery>,
    history: VecDeque<LogRecord>,
    /// Lanes that are paused inside, and where to go on.
    held_at: BTreeMap<SourceLane, i64>,
    redeliveries_seen: usize,
}

impl FaultySubscription {
    /// Goes on with the lanes that are held no more.
    async fn resume(&mut self) -> Result<(), LogError> {
        let released: Vec<_> = {
            let script = self.shared.script();
            let free = |lane: &SourceLane| !script.held.contains(lane);
            self.held_at
                .iter()
                .filter(|(lane, _)| free(lane))
                .map(|(l, o)| (l.clone(), *o))
                .collect()
        };
        for (lane, offset) in released {
            self.inner.seek(&lane, offset).await?;
            self.held_at.remove(&lane);
        }
        Ok(())
    }

    fn redelivery(&mut self, max: usize) -> Option<Delivery> {
        let mut script = self.shared.script();
        while let Some((source, from, to)) = script.redeliveries.get(self.redeliveries_seen) {
            let again: Vec<_> = self
                .history
                .iter()
                .filter(|r| r.source == *source && (*from..*to).contains(&r.offset))
                .take(max)
                .cloned()
                .collect();
            self.redeliveries_seen += 1;
            if !again.is_empty() {
                script.counts.redelivered += again.len() as u64;
                return Some(Delivery::Records(again));
            }
        }
        None
    }

    /// Takes records of held lanes out of what has arrived, and pauses those lanes.
    async fn hold_back(&mut self) -> Result<(), LogError> {
        let Some(Delivery::Records(records)) = &mut self.arrived else { return Ok(()) };
        let mut newly_held = Vec::new();
        {
            let mut script = self.shared.script();
            records.retain(|record| {
                // A lane that was released is held until it is sought: else it would skip records.
                let sought_later = self.held_at.contains_key(&record.source);
                let held = sought_later || script.held.contains(&record.source);
                if held && !sought_later {
                    self.held_at.insert(record.source.clone(), record.offset);
                    newly_held.push(record.source.clone());
                }
                !held
            });
            script.counts.held += newly_held.len() as u64;
        }
        if records.is_empty() {
            self.arrived = None;
        }
        for lane in newly_held {
            self.inner.pause(&lane).await?;
        }
        Ok(())
    }

    fn remember(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Records(records) => {
                self.history.extend(records.iter().cloned());
                let surplus = self.history.len().saturating_sub(HISTORY_RECORDS_MAX);
                self.history.drain(..surplus);
            }
            Delivery::Revoked(lanes) => {
                self.history.retain(|record| !lanes.contains(&record.source));
                self.held_at.retain(|lane, _| !lanes.contains(lane));
            }
            Delivery::Assigned(_) => {}
        }
    }
}

#[async_trait]
impl Subscription for FaultySubscription {
    async fn next(&mut self, max: usize) -> Result<Delivery, LogError> {
        loop {
            self.resume().await?;
            if let Some(again) = self.redelivery(max) {
                return Ok(again);
            }
            if self.arrived.is_none() {
                tokio::select! {
                    biased;
                    () = self.wake.notified() => continue,
                    delivery = self.inner.next(max) => self.arrived = Some(delivery?),
                }
            }
            self.hold_back().await?;
            if let Some(delivery) = self.arrived.take() {
                self.remember(&delivery);
                return Ok(delivery);
            }
        }
    }

    async fn seek(&mut self, source: &SourceLane, offset: i64) -> Result<(), LogError> {
        self.forget_arrived(source);
        if let Some(at) = self.held_at.get_mut(source) {
            *at = offset;
            return Ok(());
        }
        self.inner.seek(source, offset).await
    }

    async fn pause(&mut self, source: &SourceLane) -> Result<(), LogError> {
        self.forget_arrived(source);
        self.held_at.remove(source);
        self.inner.pause(source).await
    }

    async fn note_progress(&mut self, source: &SourceLane, next: i64) -> Result<(), LogError> {
        self.inner.note_progress(source, next).await
    }

    fn contact(&self) -> Option<Arc<dyn Contact>> {
        self.inner.contact()
    }
}

impl FaultySubscription {
    fn forget_arrived(&mut self, source: &SourceLane) {
        if let Some(Delivery::Records(records)) = &mut self.arrived {
            records.retain(|record| record.source != *source);
            if records.is_empty() {
                self.arrived = None;
            }
        }
    }
}
