//! What can happen: steps of the protocol, the world's part, and faults.

use crate::{LANES, RELAYS, SHARDS, log::WIRE_MAX, store::small};

/// One step of somebody. A relay is `r`, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An event is appended to a lane, with the next number (P5).
    Append(u8),
    /// A relay takes the lease of a shard, or finds that it has it.
    Lease(u8, u8),
    /// A relay asks for an epoch of its shard's id (P6); its predecessor's transaction ends first.
    Init(u8),
    /// A relay looks at the map of lanes once more (P9).
    CheckMap(u8),
    /// A relay reads the tail of a lane (P6).
    ReadTail(u8),
    /// A relay compares the tail with the store and the floor (P6, P8).
    Judge(u8),
    /// A relay reads the tail again, and halts if it is the same (P8).
    Confirm(u8),
    /// A relay takes what the store has beyond its position.
    Take(u8),
    /// A relay writes the next record of a lane.
    Write(u8, u8),
    /// A relay has written all, and asks for the commit.
    Commit(u8),
    /// A relay reads number and offset for a floor from a lane's end (P6).
    ReadFloor(u8, u8),
    /// A relay writes the floor that it has read.
    WriteFloor(u8),
    /// A relay sees that the store has another event than the one it published: the tenure ends (P8).
    Part(u8),
    /// A tenure ends, as all do sometimes, while the log lacks what the relay holds for published.
    EndTenure(u8),
    /// A relay with nothing to do gives its lease back, since another shard has no relay.
    Rest(u8),
    /// An idle relay is started again with the number of shards that the store has.
    Reconfigure(u8),
    /// The map is closed, and whoever was changing it is gone, or slow: an idle relay does it anew.
    FinishReshard(u8),
    /// A relay's change of the map goes on by one step (P9).
    ReshardStep(u8),
    /// A request to end a transaction arrives.
    Deliver(u8),
    /// The coordinator of a shard's id writes its mark into a lane.
    Mark(u8, u8),
    /// The lease of a shard ends, for its holder does not renew it.
    Expire(u8),
    /// Fault: a relay dies.
    Crash(u8),
    /// Fault: a relay is stopped for good.
    Stop(u8),
    /// Fault: a shard's lease ends while its holder works on.
    Pause(u8),
    /// Fault: a relay does not learn how its transaction ended.
    Doubt(u8),
    /// Fault: a request is sent again; the first copy stays on the wire.
    Repeat(u8),
    /// Fault: the coordinator gives up a transaction that is open.
    TimeOut(u8),
    /// Fault: the store fails over, and has only this many of the events that were ever appended.
    FailOver(u8),
    /// Fault: a partition loses its last committed record, and all behind it.
    LoseTail(u8),
    /// Fault: the topic is made again, empty.
    NewTopic,
    /// Fault of a kind: retention empties a partition.
    Retention(u8),
    /// An idle relay is started with another number of shards.
    Reshard(u8),
}

impl Action {
    /// Whether it happens by itself, sooner or later: neither a fault nor somebody's wish.
    #[must_use]
    pub fn is_due(self) -> bool {
        !matches!(self, Self::Append(_) | Self::ReadFloor(..) | Self::Reshard(_))
            && !self.is_fault()
    }

    /// Whether it is a fault.
    #[must_use]
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Crash(_)
                | Self::Stop(_)
                | Self::Pause(_)
                | Self::Doubt(_)
                | Self::Repeat(_)
                | Self::TimeOut(_)
                | Self::FailOver(_)
                | Self::LoseTail(_)
                | Self::NewTopic
                | Self::Retention(_)
        )
    }
}

/// All actions there are; most cannot be taken at a given moment.
pub fn all() -> impl Iterator<Item = Action> {
    let relays = || 0..small(RELAYS);
    let lanes = || 0..small(LANES);
    let shards = || 0..small(SHARDS);
    let of_relay = relays().flat_map(move |r| {
        let plain = [
            Action::Init(r),
            Action::CheckMap(r),
            Action::ReadTail(r),
            Action::Judge(r),
            Action::Confirm(r),
            Action::Take(r),
            Action::Commit(r),
            Action::WriteFloor(r),
            Action::Part(r),
            Action::EndTenure(r),
            Action::Rest(r),
            Action::Reconfigure(r),
            Action::FinishReshard(r),
            Action::ReshardStep(r),
            Action::Crash(r),
            Action::Stop(r),
            Action::Doubt(r),
            Action::Reshard(r),
        ];
        let leases = shards().map(move |shard| Action::Lease(r, shard));
        let writes =
            lanes().flat_map(move |lane| [Action::Write(r, lane), Action::ReadFloor(r, lane)]);
        plain.into_iter().chain(leases).chain(writes)
    });
    let of_lane =
        lanes().flat_map(|l| [Action::Append(l), Action::LoseTail(l), Action::Retention(l)]);
    let of_shard = shards().flat_map(move |shard| {
        let marks = lanes().map(move |lane| Action::Mark(shard, lane));
        [Action::Expire(shard), Action::Pause(shard), Action::TimeOut(shard)]
            .into_iter()
            .chain(marks)
    });
    let of_wire = (0..small(WIRE_MAX)).flat_map(|at| [Action::Deliver(at), Action::Repeat(at)]);
    let of_store = (0..FAIL_OVER_EVENTS_MAX).map(Action::FailOver);
    of_relay.chain(of_lane).chain(of_shard).chain(of_wire).chain(of_store).chain([Action::NewTopic])
}

/// A fail-over keeps fewer events than this.
const FAIL_OVER_EVENTS_MAX: u8 = 6;
