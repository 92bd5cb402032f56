//! What the relay keeps in the store.

use std::time::Duration;

use crate::id::{Lane, LaneSeq};

/// The identity that a store is given at its first use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The service's name.
    pub service: String,
    /// The number of its lanes. Fixed for ever: a key must stay in its lane.
    pub lanes: u32,
    /// The number of relay shards, when the store has none yet.
    pub shards: u32,
}

/// What the store says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The number of relay shards that is in force, or was when the map was closed; lane `l` belongs to shard
    /// `l % shards`.
    pub shards: u32,
    /// The map of lanes to shards is being changed: it is in force for nobody.
    pub closed: bool,
}

/// A change of the number of relay shards that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardChange {
    /// Which change it is: only the last one to begin can be ended.
    pub number: u64,
    /// The number of shards that was in force last: their ids are to be fenced.
    pub shards: u32,
}

/// How far a lane was published, for the day when its partition is empty (P6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The lane.
    pub lane: Lane,
    /// The last number that was published.
    pub lane_seq: LaneSeq,
    /// The partition's end offset then.
    pub end_offset: i64,
    /// Which topic it was: a topic that was made again has another id.
    pub topic_id: String,
}

/// A lease that was taken or extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Raised each time that the lease changes hands.
    pub token: u64,
    /// For how long it is held, from the moment the store was asked.
    pub ttl: Duration,
}
