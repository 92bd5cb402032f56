//! What a relay has in its memory.

use crate::{
    LANES,
    list::List,
    log::Tail,
    plan::Contradiction,
    store::{Floor, LANE_EVENTS_MAX},
};

/// An event that is to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// Its lane.
    pub lane: u8,
    /// Its number.
    pub seq: u8,
    /// Its identity.
    pub id: u8,
}

/// How far a relay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing; it may start a tenure.
    #[default]
    Idle,
    /// It has the lease.
    Leased,
    /// It has fenced its predecessor, whose transaction is being aborted.
    Fencing,
    /// It has the epoch, and looks at the map of lanes once more.
    Checking,
    /// It reads a lane's tail.
    Reading {
        /// The lane.
        lane: u8,
    },
    /// It compares the tail with the store.
    Judging {
        /// The lane.
        lane: u8,
    },
    /// It reads the tail once more before it halts.
    Confirming {
        /// The lane.
        lane: u8,
        /// Why it would halt.
        why: Contradiction,
    },
    /// It waits for events.
    Serving,
    /// It writes a transaction's records.
    Sending,
    /// It waits for the end of its transaction.
    Ending,
    /// It waits for the abort of its transaction, to go on in the same epoch: a broken variant does.
    Aborting,
    /// A person decides.
    Halted(Contradiction),
    /// It spreads the lanes over another number of shards.
    Resharding {
        /// The step it is at.
        step: u8,
        /// The number of shards to come.
        to: u8,
        /// Which change of the map it is.
        change: u8,
    },
}

/// One of the two relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Relay {
    /// How far it is.
    pub phase: Phase,
    /// It was stopped for good; its lease and its connections do not know.
    pub stopped: bool,
    /// The number of shards it was configured with.
    pub map: u8,
    /// The shard it serves.
    pub shard: u8,
    /// Its producer's epoch.
    pub epoch: u8,
    /// What it holds for published, a lane.
    pub published: [u8; LANES],
    /// What it has taken for the transaction at hand, a lane.
    pub taken: [u8; LANES],
    /// The last event that it has published or taken, a lane; 0 for none.
    pub last: [u8; LANES],
    /// What it still has to write.
    pub round: List<Outgoing, { LANE_EVENTS_MAX }>,
    /// Lanes that its epoch has written to: brokers check the producer's sequence there.
    pub wrote: [bool; LANES],
    /// Lanes that have lost records which its epoch has written: the next record is refused.
    pub refused: [bool; LANES],
    /// The tail that it has read and not judged yet.
    pub tail: Option<Tail>,
    /// The store's heads, where they are read first: a broken variant does.
    pub heads: [u8; LANES],
    /// A floor that it has read from the log and not written yet, with its lane.
    pub floor: Option<(u8, Floor)>,
}

impl Relay {
    /// The end of a tenure: nothing of it is used again.
    pub fn end_tenure(&mut self) {
        *self = Self { map: self.map, stopped: self.stopped, ..Self::default() };
    }

    /// Whether it holds an epoch.
    #[must_use]
    pub fn has_epoch(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Idle
                | Phase::Leased
                | Phase::Fencing
                | Phase::Halted(_)
                | Phase::Resharding { .. }
        )
    }
}
