//! How much may happen in one run: with these the model is finite, and explored to its end.

/// Upper bounds of one exploration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Events that are appended.
    pub events: u8,
    /// Shards at the start: 1 or 2. 0 is taken for 1.
    pub shards: u8,
    /// Faults of all kinds together.
    pub faults: u8,
    /// Relays that die.
    pub crashes: u8,
    /// Relays that are stopped for good and do not know it.
    pub stops: u8,
    /// Leases that end while their holder works on.
    pub pauses: u8,
    /// Transactions whose outcome the relay does not learn.
    pub doubts: u8,
    /// Requests that are sent again, so that one copy comes late.
    pub repeats: u8,
    /// Transactions that the coordinator gives up.
    pub time_outs: u8,
    /// Stores that fail over without their last commits.
    pub fail_overs: u8,
    /// Partitions that lose their last committed record.
    pub lost_tails: u8,
    /// Topics that are made again, empty.
    pub new_topics: u8,
    /// Partitions that retention empties.
    pub retentions: u8,
    /// Times that the lanes are spread over another number of shards.
    pub reshards: u8,
}

impl Bounds {
    /// For each change of the code: over a million states together, in well under a minute.
    #[must_use]
    pub fn usual() -> Vec<(&'static str, Self)> {
        let base = Self { events: 2, faults: 2, crashes: 1, pauses: 1, ..Self::default() };
        vec![
            ("late-ends", Self { doubts: 1, repeats: 1, time_outs: 1, ..base }),
            ("lost-tails", Self { stops: 1, fail_overs: 1, lost_tails: 1, new_topics: 1, ..base }),
            ("retention", Self { retentions: 1, lost_tails: 1, new_topics: 1, ..base }),
            ("shards", Self { faults: 1, shards: 2, reshards: 1, ..base }),
        ]
    }

    /// By command: more of each, more than ten million states together.
    #[must_use]
    pub fn large() -> Vec<(&'static str, Self)> {
        let base = Self { events: 2, faults: 2, crashes: 2, pauses: 2, ..Self::default() };
        let log = Self { doubts: 2, repeats: 2, time_outs: 1, ..base };
        let tails = Self { stops: 1, fail_overs: 2, lost_tails: 2, new_topics: 1, ..base };
        vec![
            ("late-ends-3-faults", Self { faults: 3, ..log }),
            ("late-ends-3-events", Self { events: 3, ..log }),
            ("lost-tails-3-events", Self { events: 3, ..tails }),
            (
                "all-faults-retention",
                Self { retentions: 1, doubts: 1, repeats: 1, time_outs: 1, ..tails },
            ),
            ("shards-2-faults", Self { shards: 2, reshards: 1, ..base }),
            ("shards-all-faults", Self { faults: 1, shards: 2, reshards: 1, ..tails }),
        ]
    }
}
