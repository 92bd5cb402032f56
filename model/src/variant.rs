//! Ways to break the protocol, each by name. The checker must find every one of them broken.

use crate::bounds::Bounds;

/// One rule taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// P6: the position is what was committed with the last transaction, not the log's tail.
    CommittedOffsets,
    /// P6: the position is the floor, the tail is not read.
    FloorInsteadOfTail,
    /// P6: the floor of a topic that is no more counts for its successor.
    FloorOfAnotherTopic,
    /// P6: a floor counts although records were removed that it does not know of.
    FloorThatLags,
    /// P6: an emptied partition that has only grown by aborted records is held for one that lost some.
    FloorMustBeTheEnd,
    /// P6: a floor's number comes from the relay's memory, its offset from the log.
    FloorNumberFromMemory,
    /// P6: a floor is read while the transaction's marks are still being written.
    FloorBeforeTheMarks,
    /// P7: after an abort the relay goes on in the same epoch.
    SameEpochAfterAbort,
    /// P8: the tail's number is compared with the store, its identity is not.
    NumbersWithoutIdentity,
    /// P8: log and store are compared when a tenure starts; what comes after that joins by its number.
    ComparedAtStartOnly,
    /// P8: the store's heads are read before the log's tails, and what they show is believed at once.
    HeadsBeforeTails,
    /// P9: each holder publishes under an id of its own, so that the lease alone keeps two apart.
    LeaseWithoutEpoch,
    /// P9: the lease is a lock that lasts as long as its holder's connection.
    AdvisoryLock,
    /// P9: the lanes are spread anew, and no old id is fenced.
    OldShardsNotFenced,
    /// P9: the old ids are fenced before the map changes, and not after it.
    OldShardsFencedBefore,
    /// P9: the old ids are fenced before and after, and the old map holds in between.
    OldMapHoldsMeanwhile,
    /// P9: a relay looks at the map before it takes its epoch, and not after it.
    MapReadBeforeEpoch,
}

/// What a broken protocol does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The log is no replica: a number twice, a gap, or another event.
    NotExact,
    /// A relay halts, and nothing was lost.
    FalseHalt,
    /// Events are not published, and nobody is about to.
    Standstill,
}

impl Damage {
    /// The property that does not hold any more.
    #[must_use]
    pub fn property(self) -> &'static str {
        match self {
            Self::NotExact => crate::properties::EXACT,
            Self::FalseHalt => crate::properties::CAUSE,
            Self::Standstill => crate::properties::QUIET,
        }
    }
}

impl Variant {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::CommittedOffsets,
        Self::FloorInsteadOfTail,
        Self::FloorOfAnotherTopic,
        Self::FloorThatLags,
        Self::FloorMustBeTheEnd,
        Self::FloorNumberFromMemory,
        Self::FloorBeforeTheMarks,
        Self::SameEpochAfterAbort,
        Self::NumbersWithoutIdentity,
        Self::ComparedAtStartOnly,
        Self::HeadsBeforeTails,
        Self::LeaseWithoutEpoch,
        Self::AdvisoryLock,
        Self::OldShardsNotFenced,
        Self::OldShardsFencedBefore,
        Self::OldMapHoldsMeanwhile,
        Self::MapReadBeforeEpoch,
    ];

    /// Its name on the command line, with what it shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CommittedOffsets => "committed-offsets",
            Self::FloorInsteadOfTail => "floor-instead-of-tail",
            Self::FloorOfAnotherTopic => "floor-of-another-topic",
            Self::FloorThatLags => "floor-that-lags",
            Self::FloorMustBeTheEnd => "floor-must-be-the-end",
            Self::FloorNumberFromMemory => "floor-number-from-memory",
            Self::FloorBeforeTheMarks => "floor-before-the-marks",
            Self::SameEpochAfterAbort => "same-epoch-after-abort",
            Self::NumbersWithoutIdentity => "numbers-without-identity",
            Self::ComparedAtStartOnly => "compared-at-start-only",
            Self::HeadsBeforeTails => "heads-before-tails",
            Self::LeaseWithoutEpoch => "lease-without-epoch",
            Self::AdvisoryLock => "advisory-lock",
            Self::OldShardsNotFenced => "old-shards-not-fenced",
            Self::OldShardsFencedBefore => "old-shards-fenced-before",
            Self::OldMapHoldsMeanwhile => "old-map-holds-meanwhile",
            Self::MapReadBeforeEpoch => "map-read-before-epoch",
        }
    }

    /// What it leads to.
    #[must_use]
    pub fn damage(self) -> Damage {
        match self {
            Self::FloorMustBeTheEnd | Self::FloorBeforeTheMarks | Self::HeadsBeforeTails => {
                Damage::FalseHalt
            }
            Self::AdvisoryLock => Damage::Standstill,
            _ => Damage::NotExact,
        }
    }

    /// The fewest events and faults that show it: small, so that the counterexample is readable.
    #[must_use]
    pub fn bounds(self) -> Bounds {
        let quiet = Bounds { events: 2, ..Bounds::default() };
        match self {
            Self::CommittedOffsets => {
                Bounds { events: 3, crashes: 1, repeats: 1, faults: 2, ..quiet }
            }
            Self::SameEpochAfterAbort => {
                Bounds { events: 2, doubts: 1, repeats: 1, faults: 2, ..quiet }
            }
            Self::FloorInsteadOfTail => Bounds { retentions: 1, crashes: 1, faults: 2, ..quiet },
            Self::FloorOfAnotherTopic => {
                Bounds { retentions: 1, new_topics: 1, crashes: 1, faults: 2, ..quiet }
            }
            Self::FloorThatLags | Self::FloorBeforeTheMarks => {
                Bounds { retentions: 1, crashes: 1, faults: 2, ..quiet }
            }
            Self::FloorMustBeTheEnd => Bounds { retentions: 1, crashes: 2, faults: 3, ..quiet },
            Self::FloorNumberFromMemory => {
                Bounds { retentions: 1, pauses: 1, crashes: 1, faults: 3, ..quiet }
            }
            Self::NumbersWithoutIdentity => Bounds { events: 3, fail_overs: 1, faults: 1, ..quiet },
            Self::ComparedAtStartOnly => Bounds { events: 3, fail_overs: 1, faults: 1, ..quiet },
            Self::HeadsBeforeTails | Self::LeaseWithoutEpoch => {
                Bounds { pauses: 1, faults: 1, ..quiet }
            }
            Self::AdvisoryLock => Bounds { stops: 1, faults: 1, ..quiet },
            Self::OldShardsNotFenced | Self::OldShardsFencedBefore | Self::MapReadBeforeEpoch => {
                Bounds { reshards: 1, shards: 2, ..quiet }
            }
            Self::OldMapHoldsMeanwhile => {
                Bounds { reshards: 1, shards: 2, crashes: 1, faults: 1, ..quiet }
            }
        }
    }
}
