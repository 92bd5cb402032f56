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
    /// For each change of the code: over a million states in well under a minute.
    #[must_use]
    pub fn usual() -> Vec<(&'static str, Self)> {
        let base = Self { events: 3, faults: 2, ..Self::default() };
        vec![
            (
                "late-ends",
                Self { crashes: 1, pauses: 1, doubts: 1, repeats: 2, time_outs: 1, faults: 3, ..base },
            ),
            ("lost-tails", Self { crashes: 1, pauses: 1, fail_overs: 1, lost_tails: 1, ..base }),
            (
                "retention",
                Self { crashes: 1, pauses: 1, retentions: 1, new_topics: 1, events: 2, faults: 3, ..base },
            ),
            ("shards", Self { crashes: 1, pauses: 1, reshards: 1, shards: 2, events: 2, ..base }),
        ]
    }

    /// All faults at once, and more of each.
    #[must_use]
    pub fn large() -> Vec<(&'static str, Self)> {
        let all = Self {
            events: 3,
            shards: 1,
            faults: 4,
            crashes: 2,
            stops: 1,
            pauses: 2,
            doubts: 2,
            repeats: 2,
            time_outs: 1,
            fail_overs: 1,
            lost_tails: 1,
            new_topics: 0,
            retentions: 0,
            reshards: 0,
        };
        vec![
            ("everything", all),
            ("everything-retention", Self { retentions: 1, new_topics: 1, faults: 3, ..all }),
            ("everything-shards", Self { shards: 2, reshards: 1, faults: 3, ..all }),
        ]
    }
}
