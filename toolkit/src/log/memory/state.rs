//! Broker and groups together: what one lock guards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Notify;

use super::{
    MemoryLogOptions, PublishHook,
    broker::Broker,
    group::{Group, Member},
};
use crate::{id::SourceLane, log::Delivery};

#[derive(Debug)]
pub(super) struct State {
    pub(super) broker: Broker,
    groups: BTreeMap<Arc<str>, Group>,
    members: u64,
    trim_beyond: Option<usize>,
    pub(super) hook: Option<Arc<dyn PublishHook>>,
}

impl State {
    pub(super) fn new(options: &MemoryLogOptions) -> Self {
        Self {
            broker: Broker::new(options.records_retained_max),
            groups: BTreeMap::new(),
            members: 0,
            trim_beyond: options.trim_beyond,
            hook: None,
        }
    }

    pub(super) fn join(&mut self, group: &Arc<str>, topics: &[Arc<str>]) -> (u64, Arc<Notify>) {
        self.members += 1;
        let group = self.groups.entry(Arc::clone(group)).or_default();
        (self.members, group.join(self.members, topics, &self.broker))
    }

    pub(super) fn leave(&mut self, group: &str, member: u64) {
        if let Some(group) = self.groups.get_mut(group) {
            group.leave(member, &self.broker);
        }
    }

    pub(super) fn expel(&mut self, group: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            group.expel();
        }
    }

    pub(super) fn member(&mut self, group: &str, member: u64) -> Option<&mut Member> {
        self.groups.get_mut(group)?.member(member)
    }

    /// `None` when the member was put out; `Some(None)` when there is nothing for it.
    pub(super) fn poll(
        &mut self,
        group: &str,
        member: u64,
        max: usize,
    ) -> Option<Option<Delivery>> {
        let member = self.groups.get_mut(group)?.member(member)?;
        Some(member.poll(&self.broker, max))
    }

    pub(super) fn topic_made(&mut self, topic: &Arc<str>) {
        for group in self.groups.values_mut().filter(|group| group.topics.contains(topic)) {
            group.rebalance(&self.broker);
        }
    }

    /// Forgets how far groups have read a topic that was made again, and shows them the new one.
    pub(super) fn topic_made_again(&mut self, topic: &Arc<str>) {
        for group in self.groups.values_mut() {
            group.restart(topic);
        }
        self.wake_readers(&self.broker.lanes(topic).collect());
    }

    pub(super) fn wake_readers(&self, lanes: &BTreeSet<SourceLane>) {
        for group in self.groups.values() {
            group.wake_readers(lanes);
        }
    }

    /// Only the owner of a lane may say how far it is: a late word of a former one must not free what
    /// the new one still has to read.
    pub(super) fn note_progress(&mut self, group: &str, member: u64, lane: &SourceLane, next: i64) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if !group.member(member).is_some_and(|member| member.owns(lane)) {
            return;
        }
        if let Some(progress) = group.progress.get_mut(lane) {
            *progress = next;
        } else {
            group.progress.insert(lane.clone(), next);
        }
        if let Some(keep) = self.trim_beyond {
            self.trim(lane, keep);
        }
    }

    fn trim(&mut self, lane: &SourceLane, keep: usize) {
        let readers = self.groups.values().filter(|group| group.topics.contains(&lane.topic));
        let passed = readers.map(|group| group.progress.get(lane).copied().unwrap_or(0)).min();
        if let (Some(passed), Some(partition)) = (passed, self.broker.partition_mut(lane)) {
            partition.trim(passed, keep);
        }
    }

    /// How far a group has noted its progress in a lane.
    pub(super) fn progress(&self, group: &str, lane: &SourceLane) -> Option<i64> {
        self.groups.get(group)?.progress.get(lane).copied()
    }
}
