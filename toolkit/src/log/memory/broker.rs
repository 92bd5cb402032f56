//! The broker's state machine: topics, transactional ids and their epochs. No I/O, no waiting.
//!
//! It speaks the transaction protocol as it was before KIP-890, as librdkafka does: an end of a
//! transaction names a transactional id and an epoch, not a transaction. So a late or repeated one ends
//! whatever is open for that epoch (P7).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::partition::Partition;
use crate::{
    id::{Lane, SourceLane},
    log::{LogError, NewRecord, TopicSpec},
    mutant::{Mutant, broken},
};

/// A transactional id and the epoch that one of its producers was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEpoch {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// Raised by each new producer of the id.
    pub epoch: u64,
}

/// Why the broker refused a request of a producer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A later producer has the id.
    #[error("fenced: {0:?} has a later epoch")]
    Fenced(Arc<str>),
    /// The request does not fit the transaction's state.
    #[error("{0}")]
    State(&'static str),
    /// There is no such partition.
    #[error("there is no partition {0}")]
    UnknownPartition(SourceLane),
    /// The record is larger than the topic takes.
    #[error("a record of {bytes} bytes is larger than the topic's limit of {limit} bytes")]
    TooLarge {
        /// Key, value and headers together.
        bytes: usize,
        /// The topic's limit.
        limit: usize,
    },
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: u64,
    pub(super) compacted: bool,
    pub(super) record_bytes_max: usize,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug)]
enum Transaction {
    /// None is open; how the last one ended.
    Ended(Option<bool>),
    Open(BTreeSet<SourceLane>),
    /// Committed or aborted for good; the marks are not written yet.
    Decided(bool, BTreeSet<SourceLane>),
}

#[derive(Debug)]
struct Producer {
    number: u64,
    epoch: u64,
    transaction: Transaction,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    topics: BTreeMap<Arc<str>, Topic>,
    producers: BTreeMap<Arc<str>, Producer>,
    numbers: u64,
    /// Where the next mark of an id gets lost.
    lost_marks: BTreeMap<Arc<str>, Lane>,
    records_retained_max: Option<usize>,
}

impl Broker {
    pub(super) fn new(records_retained_max: Option<usize>) -> Self {
        Self { records_retained_max, ..Self::default() }
    }

    /// Makes the topic if there is none; whether it did.
    pub(super) fn ensure_topic(&mut self, spec: &TopicSpec) -> Result<bool, LogError> {
        let Some(topic) = self.topics.get(&spec.name) else {
            if spec.lanes == 0 {
                return Err(mismatch(spec, "a topic has at least one partition".to_owned()));
            }
            let topic = self.new_topic(spec.lanes, spec.record_bytes_max);
            self.topics.insert(Arc::clone(&spec.name), topic);
            return Ok(true);
        };
        if topic.compacted {
            return Err(mismatch(spec, "it is compacted; set cleanup.policy=delete".to_owned()));
        }
        if topic.partitions.len() != spec.lanes as usize {
            let reason = format!(
                "it has {} partitions, the service {} lanes; neither can be changed for a service \
                 that has written",
                topic.partitions.len(),
                spec.lanes
            );
            return Err(mismatch(spec, reason));
        }
        if topic.record_bytes_max < spec.record_bytes_max {
            let reason = format!(
                "it takes records of {} bytes; raise max.message.bytes to {}",
                topic.record_bytes_max, spec.record_bytes_max
            );
            return Err(mismatch(spec, reason));
        }
        Ok(false)
    }

    fn new_topic(&mut self, lanes: u32, record_bytes_max: usize) -> Topic {
        let partitions = (0..lanes).map(|_| Partition::default()).collect();
        Topic { id: self.number(), compacted: false, record_bytes_max, partitions }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Makes the topic again, empty and with another id.
    pub(super) fn recreate_topic(&mut self, name: &str) -> bool {
        let Some((lanes, bytes)) =
            self.topics.get(name).map(|t| (t.partitions.len(), t.record_bytes_max))
        else {
            return false;
        };
        let made = self.new_topic(u32::try_from(lanes).unwrap_or(u32::MAX), bytes);
        if let Some(topic) = self.topics.get_mut(name) {
            *topic = made;
        }
        for producer in self.producers.values_mut() {
            if let Transaction::Open(lanes) | Transaction::Decided(_, lanes) =
                &mut producer.transaction
            {
                lanes.retain(|lane| &*lane.topic != name);
            }
        }
        true
    }

    pub(super) fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    pub(super) fn topic_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.topics.get_mut(name)
    }

    pub(super) fn partition(&self, source: &SourceLane) -> Option<&Partition> {
        self.topics.get(&source.topic)?.partitions.get(source.lane.0 as usize)
    }

    pub(super) fn partition_mut(&mut self, source: &SourceLane) -> Option<&mut Partition> {
        self.topics.get_mut(&source.topic)?.partitions.get_mut(source.lane.0 as usize)
    }

    /// A new epoch for the id. What its predecessor left open is aborted, or finished when its end was
    /// decided. Gives the lanes where something ended.
    pub(super) fn init(&mut self, id: &str) -> (ProducerEpoch, BTreeSet<SourceLane>) {
        if let Some(producer) = self.producers.get_mut(id) {
            producer.epoch += u64::from(!broken(Mutant::EpochKept));
            if let Transaction::Open(lanes) = &mut producer.transaction
                && !broken(Mutant::OpenTransactionLeft)
            {
                producer.transaction = Transaction::Decided(false, std::mem::take(lanes));
            }
        } else {
            let producer =
                Producer { number: self.number(), epoch: 0, transaction: Transaction::Ended(None) };
            self.producers.insert(id.into(), producer);
        }
        let ended = self.complete(id);
        let number = if broken(Mutant::OpenTransactionLeft) { self.number() } else { 0 };
        if let Some(producer) = self.producers.get_mut(id) {
            if broken(Mutant::OpenTransactionLeft) {
                producer.number = number;
            }
            producer.transaction = Transaction::Ended(None);
        }
        let epoch = self.producers.get(id).map_or(0, |producer| producer.epoch);
        (ProducerEpoch { transactional_id: id.into(), epoch }, ended)
    }

    /// Adds partitions to the epoch's transaction, and opens one if none is open. The broker cannot
    /// tell a second begin from going on with the first.
    pub(super) fn begin(
        &mut self,
        producer: &ProducerEpoch,
        lanes: impl IntoIterator<Item = SourceLane>,
    ) -> Result<(), Refused> {
        let mut added = BTreeSet::new();
        for lane in lanes {
            if self.partition(&lane).is_none() {
                return Err(Refused::UnknownPartition(lane));
            }
            added.insert(lane);
        }
        let transaction = &mut self.current(producer)?.transaction;
        match transaction {
            Transaction::Ended(_) => *transaction = Transaction::Open(added),
            Transaction::Open(lanes) => lanes.extend(added),
            Transaction::Decided(..) => {
                return Err(Refused::State("the last transaction is not finished yet"));
            }
        }
        Ok(())
    }

    /// Adds a record to the open transaction; gives its offset.
    pub(super) fn produce(
        &mut self,
        producer: &ProducerEpoch,
        topic: &Arc<str>,
        record: NewRecord,
    ) -> Result<i64, Refused> {
        let source = SourceLane { topic: Arc::clone(topic), lane: record.lane };
        let producer = self.current(producer)?;
        if !matches!(&producer.transaction, Transaction::Open(lanes) if lanes.contains(&source)) {
            return Err(Refused::State("the partition is in no open transaction"));
        }
        let number = producer.number;
        self.append(source, record, Some(number))
    }

    pub(super) fn append(
        &mut self,
        source: SourceLane,
        record: NewRecord,
        producer: Option<u64>,
    ) -> Result<i64, Refused> {
        let Some(topic) = self.topics.get_mut(&source.topic) else {
            return Err(Refused::UnknownPartition(source));
        };
        let limit = topic.record_bytes_max;
        let Some(partition) = topic.partitions.get_mut(source.lane.0 as usize) else {
            return Err(Refused::UnknownPartition(source));
        };
        let bytes = record.key.len() + record.value.len() + record.headers.bytes();
        if bytes > limit {
            return Err(Refused::TooLarge { bytes, limit });
        }
        Ok(partition.append(source, record, producer))
    }

    /// Decides how the epoch's open transaction ends, without writing the marks.
    pub(super) fn decide(&mut self, producer: &ProducerEpoch, commit: bool) -> Result<(), Refused> {
        let transaction = &mut self.current(producer)?.transaction;
        match transaction {
            Transaction::Open(lanes) => {
                *transaction = Transaction::Decided(commit, std::mem::take(lanes));
                Ok(())
            }
            // A repeated request gets the first answer.
            Transaction::Decided(decided, _) | Transaction::Ended(Some(decided))
                if *decided == commit =>
            {
                Ok(())
            }
            _ => Err(Refused::State("no transaction is open that could end so")),
        }
    }

    /// Writes the marks of a decided transaction; gives the lanes where it ended.
    pub(super) fn complete(&mut self, id: &str) -> BTreeSet<SourceLane> {
        let Some(producer) = self.producers.get_mut(id) else { return BTreeSet::new() };
        let Transaction::Decided(commit, lanes) = &mut producer.transaction else {
            return BTreeSet::new();
        };
        let (commit, lanes, number) = (*commit, std::mem::take(lanes), producer.number);
        producer.transaction = Transaction::Ended(Some(commit));
        let retained = self.records_retained_max;
        let lost = self.lost_marks.get(id).copied();
        for lane in &lanes {
            if lost == Some(lane.lane) {
                self.lost_marks.remove(id);
                continue;
            }
            if let Some(partition) = self.partition_mut(lane) {
                partition.finish(number, commit);
                if let Some(max) = retained {
                    partition.trim(i64::MAX, max);
                }
            }
        }
        lanes
    }

    /// The next transaction of this id that writes to the lane ends everywhere but there: it hangs.
    pub(super) fn lose_mark(&mut self, id: &str, lane: Lane) {
        self.lost_marks.insert(id.into(), lane);
    }

    fn current(&mut self, producer: &ProducerEpoch) -> Result<&mut Producer, Refused> {
        match self.producers.get_mut(&producer.transactional_id) {
            Some(current) if current.epoch == producer.epoch => Ok(current),
            _ => Err(Refused::Fenced(Arc::clone(&producer.transactional_id))),
        }
    }

    /// The lanes of a topic; none when there is no such topic.
    pub(super) fn lanes(&self, topic: &Arc<str>) -> impl Iterator<Item = SourceLane> {
        let count = self.topics.get(topic).map_or(0, |t| t.partitions.len());
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let topic = Arc::clone(topic);
        (0..count).map(move |lane| SourceLane { topic: Arc::clone(&topic), lane: Lane(lane) })
    }
}

fn mismatch(spec: &TopicSpec, reason: String) -> LogError {
    LogError::Mismatch { topic: spec.name.to_string(), reason }
}
