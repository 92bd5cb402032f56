//! The store: lanes of events with dense numbers (P5), floors (P6), leases and the map of lanes to shards (P9).

use crate::{LANES, SHARDS, list::List};

/// Events in one lane, at most.
pub const LANE_EVENTS_MAX: usize = 4;

/// What was published when a floor was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Floor {
    /// The last number.
    pub seq: u8,
    /// The partition's end.
    pub end: u8,
    /// Which topic it was.
    pub topic: u8,
}

/// One service's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The events of each lane by number: the first has number 1. Their identities are never used again.
    pub lanes: [List<u8, LANE_EVENTS_MAX>; LANES],
    /// How many events were ever appended: the last identity given.
    pub appended: u8,
    /// How many shards the lanes are spread over; 0 while that changes.
    pub shards: u8,
    /// Grows with each change of the map that begins: only the last to begin may end it.
    pub change: u8,
    /// Which relay holds each shard's lease.
    pub leases: [Option<u8>; SHARDS],
    /// Each lane's floor.
    pub floors: [Option<Floor>; LANES],
}

impl Default for Store {
    fn default() -> Self {
        Self {
            lanes: Default::default(),
            appended: 0,
            shards: 1,
            change: 0,
            leases: Default::default(),
            floors: Default::default(),
        }
    }
}

impl Store {
    /// The last number of a lane.
    #[must_use]
    pub fn head(&self, lane: usize) -> u8 {
        small(self.lanes[lane].len())
    }

    /// The event under a number.
    #[must_use]
    pub fn event(&self, lane: usize, seq: u8) -> Option<u8> {
        self.lanes[lane].get(usize::from(seq).checked_sub(1)?).copied()
    }

    /// Appends one event; false when the lane is full.
    pub fn append(&mut self, lane: usize) -> bool {
        let fits = self.lanes[lane].push(self.appended + 1);
        self.appended += u8::from(fits);
        fits
    }

    /// A replica that lacks the commits after `last` takes over; returns the lost events as bits. Nobody is
    /// told: connections come back by themselves.
    pub fn fail_over(&mut self, last: u8) -> u16 {
        let mut lost = 0;
        for lane in 0..LANES {
            for id in self.lanes[lane].iter().filter(|id| **id > last) {
                lost |= bit(*id);
            }
            self.lanes[lane].retain(|id| *id <= last);
            // A floor was written after the events it counts: it is lost with them.
            let head = self.head(lane);
            self.floors[lane] = self.floors[lane].filter(|floor| floor.seq <= head);
        }
        lost
    }

    /// The lanes of a shard, when there are `shards`.
    pub fn lanes_of(shard: u8, shards: u8) -> impl Iterator<Item = usize> {
        (0..LANES).filter(move |lane| small(*lane) % shards == shard)
    }
}

/// An event in a set of events.
#[must_use]
pub fn bit(id: u8) -> u16 {
    1 << id
}

/// A count of the model, all of which are small.
#[must_use]
pub fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
