//! Consumer groups: who reads which lanes. No I/O, no waiting.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Notify;

use super::broker::Broker;
use crate::{
    id::SourceLane,
    log::{Delivery, LogRecord},
};

#[derive(Debug, Default)]
pub(super) struct Group {
    members: BTreeMap<u64, Member>,
    /// Raised by each rebalance.
    generation: u64,
    /// What any member ever subscribed to: trimming waits for this group there.
    pub(super) topics: BTreeSet<Arc<str>>,
    pub(super) progress: BTreeMap<SourceLane, i64>,
}

#[derive(Debug)]
pub(super) struct Member {
    topics: BTreeSet<Arc<str>>,
    /// What it is to read, with the generation in which it got the lane. Another generation means that
    /// the lane was elsewhere in between.
    assigned: BTreeMap<SourceLane, u64>,
    /// What it was told to read.
    told: BTreeMap<SourceLane, Told>,
    turn: usize,
    pub(super) wake: Arc<Notify>,
}

#[derive(Debug)]
struct Told {
    generation: u64,
    /// Where it reads next; `None` before the first seek and in a pause.
    at: Option<i64>,
}

impl Group {
    pub(super) fn join(
        &mut self,
        member: u64,
        topics: &[Arc<str>],
        broker: &Broker,
    ) -> Arc<Notify> {
        let wake = Arc::new(Notify::new());
        self.topics.extend(topics.iter().cloned());
        self.members.insert(
            member,
            Member {
                topics: topics.iter().cloned().collect(),
                assigned: BTreeMap::new(),
                told: BTreeMap::new(),
                turn: 0,
                wake: Arc::clone(&wake),
            },
        );
        self.rebalance(broker);
        wake
    }

    pub(super) fn leave(&mut self, member: u64, broker: &Broker) {
        if let Some(member) = self.members.remove(&member) {
            // One that was put out and still waits must hear of it.
            member.wake.notify_one();
            self.rebalance(broker);
        }
    }

    /// Puts all members out, as a group coordinator does with silent ones.
    pub(super) fn expel(&mut self) {
        for member in std::mem::take(&mut self.members).into_values() {
            member.wake.notify_one();
        }
    }

    pub(super) fn member(&mut self, member: u64) -> Option<&mut Member> {
        self.members.get_mut(&member)
    }

    /// Spreads all lanes over the members: who has a lane keeps it where the balance allows.
    pub(super) fn rebalance(&mut self, broker: &Broker) {
        self.generation += 1;
        let owners = self.balanced(&self.current_owners(broker));
        for (number, member) in &mut self.members {
            let mine = owners.iter().filter(|(_, owner)| *owner == number).map(|(lane, _)| lane);
            let before = std::mem::take(&mut member.assigned);
            member.assigned = mine
                .map(|lane| (lane.clone(), before.get(lane).copied().unwrap_or(self.generation)))
                .collect();
            if member.assigned != before {
                member.wake.notify_one();
            }
        }
    }

    /// Every lane that somebody subscribed to, with the member that has it.
    fn current_owners(&self, broker: &Broker) -> BTreeMap<SourceLane, Option<u64>> {
        let topics: BTreeSet<_> = self.members.values().flat_map(|m| &m.topics).collect();
        let owner = |lane: &SourceLane| {
            self.members.iter().find(|(_, m)| m.assigned.contains_key(lane)).map(|(n, _)| *n)
        };
        topics.into_iter().flat_map(|t| broker.lanes(t)).map(|l| (l.clone(), owner(&l))).collect()
    }

    fn balanced(&self, current: &BTreeMap<SourceLane, Option<u64>>) -> BTreeMap<SourceLane, u64> {
        let mut load: BTreeMap<u64, usize> = self.members.keys().map(|m| (*m, 0)).collect();
        for owner in current.values().flatten() {
            *load.entry(*owner).or_default() += 1;
        }
        let mut owners = BTreeMap::new();
        for (lane, owner) in current {
            let Some(owner) = owner.or_else(|| self.least_loaded(lane, &load)) else { continue };
            if current.get(lane) == Some(&None) {
                *load.entry(owner).or_default() += 1;
            }
            owners.insert(lane.clone(), owner);
        }
        // Each move makes the loads more even, so this ends.
        loop {
            let uneven = owners.iter().find_map(|(lane, owner)| {
                let least = self.least_loaded(lane, &load)?;
                (load.get(owner) > load.get(&least).map(|l| l + 1).as_ref())
                    .then(|| (lane.clone(), *owner, least))
            });
            let Some((lane, from, to)) = uneven else { return owners };
            *load.entry(from).or_default() -= 1;
            *load.entry(to).or_default() += 1;
            owners.insert(lane, to);
        }
    }

    fn least_loaded(&self, lane: &SourceLane, load: &BTreeMap<u64, usize>) -> Option<u64> {
        let able = self.members.iter().filter(|(_, m)| m.topics.contains(&lane.topic));
        able.map(|(n, _)| *n).min_by_key(|n| (load.get(n).copied().unwrap_or(0), *n))
    }

    /// The topic was made again: what was noted of it is void, and who reads it starts at its start.
    pub(super) fn restart(&mut self, topic: &str) {
        self.progress.retain(|lane, _| &*lane.topic != topic);
        for member in self.members.values_mut() {
            for (_, told) in member.told.iter_mut().filter(|(lane, _)| &*lane.topic == topic) {
                told.at = told.at.map(|_| 0);
            }
        }
    }

    /// Wakes those who wait for these lanes, in the order in which they joined.
    pub(super) fn wake_readers(&self, lanes: &BTreeSet<SourceLane>) {
        for member in self.members.values() {
            if lanes.iter().any(|lane| member.told.get(lane).is_some_and(|told| told.at.is_some()))
            {
                member.wake.notify_one();
            }
        }
    }
}

impl Member {
    /// The next delivery, if there is one: what is lost, then what is new, then records.
    pub(super) fn poll(&mut self, broker: &Broker, max: usize) -> Option<Delivery> {
        let kept =
            |lane: &SourceLane, told: &Told| self.assigned.get(lane) == Some(&told.generation);
        let lost: Vec<_> =
            self.told.iter().filter(|(l, t)| !kept(l, t)).map(|(l, _)| l.clone()).collect();
        if !lost.is_empty() {
            self.told.retain(|lane, _| lost.binary_search(lane).is_err());
            return Some(Delivery::Revoked(lost));
        }
        if self.told.len() < self.assigned.len() {
            let mut new = Vec::new();
            for (lane, generation) in &self.assigned {
                self.told.entry(lane.clone()).or_insert_with(|| {
                    new.push(lane.clone());
                    Told { generation: *generation, at: None }
                });
            }
            return Some(Delivery::Assigned(new));
        }
        let records = self.fetch(broker, max.max(1));
        (!records.is_empty()).then_some(Delivery::Records(records))
    }

    /// Each lane gets an equal share; what some leave over goes to the others. Who comes first changes
    /// with every fetch.
    fn fetch(&mut self, broker: &Broker, max: usize) -> Vec<LogRecord> {
        let mut waiting: Vec<_> = self
            .told
            .iter_mut()
            .filter_map(|(lane, told)| Some((broker.partition(lane)?, told.at.as_mut()?)))
            .filter(|(partition, at)| **at != partition.last_stable())
            .collect();
        let mut records = Vec::new();
        if waiting.is_empty() {
            return records;
        }
        let lanes = waiting.len();
        waiting.rotate_left(self.turn % lanes);
        let share = (max / lanes).max(1);
        for room in [share, max] {
            for (partition, at) in &mut waiting {
                partition.read(at, room.min(max - records.len()), &mut records);
            }
        }
        if !records.is_empty() {
            self.turn = self.turn.wrapping_add(1);
        }
        records
    }

    /// Without effect on a lane that is not ours: it may have been taken away a moment ago.
    pub(super) fn read_from(&mut self, lane: &SourceLane, at: Option<i64>) {
        if let Some(told) = self.told.get_mut(lane) {
            told.at = at;
        }
    }

    pub(super) fn owns(&self, lane: &SourceLane) -> bool {
        self.assigned.contains_key(lane)
    }
}
