//! What a person, a broken disk or another client could do to a log: for tests and simulations.

use std::{collections::BTreeSet, sync::Arc};

use super::{MemoryLog, ProducerEpoch, PublishHook, Refused, source_lanes};
use crate::{
    id::{Lane, SourceLane},
    log::NewRecord,
};

/// # Raw transactions
///
/// The requests that a publisher sends, one by one. An `end` names an epoch, not a transaction: sent
/// late or twice it ends whatever the epoch has open, as on brokers before KIP-890.
impl MemoryLog {
    /// A new epoch for the id: fences the former producer and ends what it left open.
    #[must_use]
    pub fn init_producer(&self, transactional_id: &str) -> ProducerEpoch {
        let mut state = self.lock();
        let (producer, ended) = state.broker.init(transactional_id);
        state.wake_readers(&ended);
        producer
    }

    /// Adds partitions to the producer's transaction; opens one if none is open.
    ///
    /// # Errors
    /// Fenced, no such partition, or the last transaction is decided but not completed.
    pub fn begin(
        &self,
        producer: &ProducerEpoch,
        topic: &Arc<str>,
        lanes: &[Lane],
    ) -> Result<(), Refused> {
        self.lock().broker.begin(producer, source_lanes(topic, lanes))
    }

    /// Writes a record in the open transaction; gives its offset.
    ///
    /// # Errors
    /// Fenced, no transaction open on the partition, or too large.
    pub fn produce(
        &self,
        producer: &ProducerEpoch,
        topic: &Arc<str>,
        record: NewRecord,
    ) -> Result<i64, Refused> {
        self.lock().broker.produce(producer, topic, record)
    }

    /// Decides how the open transaction ends. Nothing can change it from here on, but readers see it
    /// only after [`complete`](Self::complete) or the next [`init_producer`](Self::init_producer).
    ///
    /// # Errors
    /// Fenced, or no transaction that could end so.
    pub fn decide(&self, producer: &ProducerEpoch, commit: bool) -> Result<(), Refused> {
        self.lock().broker.decide(producer, commit)
    }

    /// Writes the marks of a decided transaction. Nothing happens when none is decided.
    pub fn complete(&self, transactional_id: &str) {
        let mut state = self.lock();
        let ended = state.broker.complete(transactional_id);
        state.wake_readers(&ended);
    }

    /// Ends the transaction that the producer's epoch has open.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn end(&self, producer: &ProducerEpoch, commit: bool) -> Result<(), Refused> {
        self.decide(producer, commit)?;
        self.complete(&producer.transactional_id);
        Ok(())
    }

    /// The mark of the id's next transaction that writes to the lane gets lost there: it hangs, as one of a broker
    /// that dies between decision and marks.
    pub fn lose_mark(&self, transactional_id: &str, lane: Lane) {
        self.lock().broker.lose_mark(transactional_id, lane);
    }

    /// Sends all publishers' requests through `hook`; `None` takes it away.
    pub fn set_publish_hook(&self, hook: Option<Arc<dyn PublishHook>>) {
        self.lock().hook = hook;
    }
}

/// # Accidents
impl MemoryLog {
    /// A record of a foreign producer, outside of transactions; gives its offset.
    ///
    /// # Errors
    /// No such partition, or too large.
    pub fn produce_raw(&self, topic: &Arc<str>, record: NewRecord) -> Result<i64, Refused> {
        let source = SourceLane { topic: Arc::clone(topic), lane: record.lane };
        let mut state = self.lock();
        let offset = state.broker.append(source.clone(), record, None)?;
        state.wake_readers(&BTreeSet::from([source]));
        Ok(offset)
    }

    /// Retention: forgets the lane's records before `offset`. Whether there is such a lane.
    pub fn delete_records_before(&self, topic: &str, lane: Lane, offset: i64) -> bool {
        let mut state = self.lock();
        let partition = state.broker.partition_mut(&SourceLane::new(topic, lane));
        partition.map(|partition| partition.delete_before(offset)).is_some()
    }

    /// The log lost its tail: everything from `offset` on is gone. Whether there is such a lane.
    pub fn truncate_tail(&self, topic: &str, lane: Lane, offset: i64) -> bool {
        let mut state = self.lock();
        let source = SourceLane::new(topic, lane);
        let there = state.broker.partition_mut(&source).map(|p| p.truncate(offset)).is_some();
        state.wake_readers(&BTreeSet::from([source]));
        there
    }

    /// Deletes a topic and makes it again: empty, with another id. Whether there was one.
    pub fn recreate_topic(&self, topic: &str) -> bool {
        let mut state = self.lock();
        let there = state.broker.recreate_topic(topic);
        state.topic_made_again(&topic.into());
        there
    }

    /// Turns compaction on, against P6. Whether there is such a topic.
    pub fn set_compacted(&self, topic: &str) -> bool {
        self.lock().broker.topic_mut(topic).map(|topic| topic.compacted = true).is_some()
    }

    /// Puts all members out of a group, as a coordinator does with silent ones. A simulated crash is
    /// not a drop: without this a dead member would keep its lanes.
    pub fn expel_members(&self, group: &str) {
        self.lock().expel(group);
    }

    /// Joins a group as [`subscribe`](crate::log::EventLog::subscribe) does; gives the member's number too.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn subscribe_as(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> (u64, Box<dyn crate::log::Subscription>) {
        let group: Arc<str> = group.into();
        let (member, wake) = self.lock().join(&group, topics);
        (
            member,
            Box::new(super::subscription::MemorySubscription {
                log: self.clone(),
                group,
                member,
                wake,
            }),
        )
    }

    /// Puts one silent member out of a group. It hears of it when it asks for more.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn expel_member(&self, group: &str, member: u64) {
        self.lock().leave(group, member);
    }

    /// How far a group has noted its progress in a lane.
    #[must_use]
    pub fn progress(&self, group: &str, source: &SourceLane) -> Option<i64> {
        self.lock().progress(group, source)
    }

    /// The lane's first offset and its end: how much it holds, marks included.
    #[must_use]
    pub fn bounds(&self, source: &SourceLane) -> Option<(i64, i64)> {
        self.lock().broker.partition(source).map(|p| (p.start(), p.end()))
    }
}
