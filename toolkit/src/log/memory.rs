//! The in-process log: the embedded default, and what tests and simulations run on.
//!
//! It has the semantics of a real broker (transactional ids with epochs, aborted records and marks that
//! take offsets, a last stable offset, consumer groups), and no disk: after a restart the relays
//! publish everything again from their stores (P6).

mod admin;
mod broker;
mod group;
mod partition;
mod publisher;
mod state;
mod subscription;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
pub use broker::{ProducerEpoch, Refused};
pub use publisher::{PublishHook, PublishStep, StepFate};

use self::{publisher::MemoryPublisher, state::State, subscription::MemorySubscription};
use super::{
    Backwards, EventLog, Found, LogError, NewRecord, Publisher, Subscription, TopicSpec,
    record::lane_seq,
};
use crate::id::{Lane, LaneSeq, SourceLane};

/// How an in-memory log bounds its memory. The default keeps everything.
#[derive(Clone, Debug, Default)]
pub struct MemoryLogOptions {
    /// Tells this log's topics from those of every other, as a part of their ids. `None` takes a
    /// random number; a simulation gives one of its own.
    pub identity: Option<u64>,
    /// Retention: a partition forgets its oldest records beyond this number, read or not. The last
    /// record is always kept.
    pub records_retained_max: Option<usize>,
    /// A partition that holds more than this number forgets its oldest records which all groups that
    /// ever subscribed to its topic have noted as applied. Subscribe all groups before the first
    /// publishes more than that; a later one finds the beginning gone.
    pub trim_beyond: Option<usize>,
}

/// A log in this process. A clone is another handle of the same log.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

struct Shared {
    identity: u64,
    state: Mutex<State>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(MemoryLogOptions::default())
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLog {:x}", self.shared.identity)
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(options: MemoryLogOptions) -> Self {
        let identity = options.identity.unwrap_or_else(rand::random);
        Self { shared: Arc::new(Shared { identity, state: Mutex::new(State::new(&options)) }) }
    }

    /// Held for moments only, never across an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_hook(&self) -> Option<Arc<dyn PublishHook>> {
        self.lock().hook.clone()
    }

    /// One transaction, under one lock. It is aborted when the broker refuses a part of it.
    fn publish_whole(
        &self,
        producer: &ProducerEpoch,
        topic: &Arc<str>,
        records: Vec<NewRecord>,
    ) -> Result<(), Refused> {
        let mut state = self.lock();
        let broker = &mut state.broker;
        let mut lanes: Vec<_> = records.iter().map(|record| record.lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let sources = lanes.into_iter().map(|lane| SourceLane { topic: Arc::clone(topic), lane });
        broker.begin(producer, sources)?;
        let mut records = records.into_iter();
        let written = records.try_for_each(|r| broker.produce(producer, topic, r).map(drop));
        broker.decide(producer, written.is_ok())?;
        let ended = broker.complete(&producer.transactional_id);
        state.wake_readers(&ended);
        written
    }

    fn topic_id(&self, number: u64) -> String {
        format!("memory-{:016x}-{number}", self.shared.identity)
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        let mut state = self.lock();
        if state.broker.ensure_topic(spec)? {
            state.topic_made(&spec.name);
        }
        Ok(())
    }

    async fn lanes_of(&self, topic: &str) -> Result<u32, LogError> {
        let state = self.lock();
        let topic = state.broker.topic(topic).ok_or_else(|| no_topic(topic))?;
        Ok(u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX))
    }

    async fn publisher(
        &self,
        transactional_id: &str,
        topic: &str,
    ) -> Result<Box<dyn Publisher>, LogError> {
        if self.lock().broker.topic(topic).is_none() {
            return Err(no_topic(topic));
        }
        let producer = self.init_producer(transactional_id);
        Ok(Box::new(MemoryPublisher { log: self.clone(), producer, topic: topic.into() }))
    }

    async fn read_back(&self, source: &SourceLane, count: usize) -> Result<Backwards, LogError> {
        let state = self.lock();
        let (Some(topic), Some(partition)) =
            (state.broker.topic(&source.topic), state.broker.partition(source))
        else {
            return Err(no_topic(&source.topic));
        };
        let mut newest_first = partition.committed().rev();
        let mut records: Vec<_> = newest_first.by_ref().take(count).cloned().collect();
        records.reverse();
        Ok(Backwards {
            records,
            from_start: newest_first.next().is_none(),
            start_offset: partition.start(),
            end_offset: partition.end(),
            stable: partition.last_stable() == partition.end(),
            topic_id: self.topic_id(topic.id),
        })
    }

    async fn find(&self, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError> {
        let state = self.lock();
        let partition = state.broker.partition(source).ok_or_else(|| no_topic(&source.topic))?;
        let mut first = None;
        for record in partition.committed() {
            let number = lane_seq(&record.headers);
            if number == Some(seq) {
                return Ok(Found::At(record.offset));
            }
            first = first.or(number);
        }
        Ok(Found::Missing { first })
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Box<dyn Subscription>, LogError> {
        let group: Arc<str> = group.into();
        let (member, wake) = self.lock().join(&group, topics);
        Ok(Box::new(MemorySubscription { log: self.clone(), group, member, wake }))
    }
}

fn no_topic(topic: &str) -> LogError {
    LogError::Unavailable(format!("there is no topic {topic}, or it has no such partition").into())
}

fn source_lanes(topic: &Arc<str>, lanes: &[Lane]) -> Vec<SourceLane> {
    lanes.iter().map(|lane| SourceLane { topic: Arc::clone(topic), lane: *lane }).collect()
}
