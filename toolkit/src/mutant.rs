//! Deliberate breaks of the protocol and the barrier, each switched on by its name.
//!
//! They show that the tests see: `cargo xtask mutants` switches on one after the other, and the simulation or
//! a suite must fail. The feature `mutants` builds all of them into one program, and the environment variable
//! `QUADRILLE_MUTANT` chooses one of them for a process. Without the feature there is no switch: `broken` is a
//! constant, and what stands behind a mark is not compiled into anything. `docs/mutants.md` lists them, with
//! what kills each.

#[cfg(feature = "mutants")]
mod hands;

#[cfg(feature = "mutants")]
pub(crate) use hands::append_otherwise;

macro_rules! mutants {
    ($($kind:ident, $name:literal, $rule:literal, $what:literal;)*) => {
        /// One break. Its place is the mark that names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(feature = "mutants"), allow(dead_code, reason = "a few have their mark there"))]
        pub(crate) enum Mutant {
            $(#[doc = $what] $kind,)*
        }

        #[cfg(any(test, feature = "mutants"))]
        impl Mutant {
            /// All of them, by rule.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name, the rule that it breaks, and how.
            fn told(self) -> Listed {
                let (name, rule, what) = match self { $(Self::$kind => ($name, $rule, $what),)* };
                Listed { name, rule, what }
            }
        }
    };
}

mutants! {
    PositionApart, "position-apart", "P1", "the position is committed after the events, not with them";
    StaleRead, "stale-read", "P1", "a handler's part counts although what it read has changed";
    OverlayIgnored, "overlay-ignored", "P1", "a message does not see what its batch has decided so far";
    SealedOverlayIgnored, "sealed-overlay-ignored", "P1", "a batch does not see what the one being committed has decided";
    PositionUnchecked, "position-unchecked", "P2", "the position is moved without comparing it";
    EpochNotRaised, "epoch-not-raised", "P2", "a claim does not raise the owner's epoch";
    DuplicateApplied, "duplicate-applied", "P3", "a number that was applied is applied again";
    GapSteppedOver, "gap-stepped-over", "P3", "a missing number is stepped over";
    OffsetForNumber, "offset-for-number", "P3", "a duplicate is known by its offset, not by its number";
    InboxNotWritten, "inbox-not-written", "P4", "what a foreign producer sent is not remembered";
    InboxByOffset, "inbox-by-offset", "P4", "a foreign event is known by its offset, not by source and id";
    LaneCounterShared, "lane-counter-shared", "P5", "one sequence numbers all lanes: each has gaps";
    PositionFromTable, "position-from-table", "P6", "the relay goes on where its table says, not at the log's tail";
    UnstableTail, "unstable-tail", "P6", "the tail is believed while a transaction is open";
    OpenTransactionLeft, "open-transaction-left", "P6", "a new producer leaves its predecessor's transaction open";
    FloorIgnored, "floor-ignored", "P6", "an emptied partition is published again from its first event";
    FloorTooHigh, "floor-too-high", "P6", "the floor says one event more than was published";
    FloorOfAnotherTopic, "floor-of-another-topic", "P6", "the floor of the old topic counts for the new one";
    FreshWithoutJoin, "fresh-without-join", "P6", "events from memory are published although they do not follow on";
    HangingLeft, "hanging-left", "P6", "a transaction that hangs at the tail is waited for";
    LaneReversed, "lane-reversed", "P6", "what waits for a lane is published last first";
    EpochKept, "epoch-kept", "P7", "a new producer goes on with the epoch of the last one";
    DoubtIsSuccess, "doubt-is-success", "P7", "a transaction in doubt is taken as committed";
    LogAheadAccepted, "log-ahead-accepted", "P8", "a log that is ahead of its store is published over";
    TailIdUnchecked, "tail-id-unchecked", "P8", "the tail's event is not compared with the store's of that number";
    ConsumerIdUnchecked, "consumer-id-unchecked", "P8", "a consumer does not compare the event it stored with its position";
    LeaseUnchecked, "lease-unchecked", "P9", "a relay publishes without its lease";
    IdOfInstance, "id-of-instance", "P9", "each instance has a transactional id of its own";
    OldShardsNotFenced, "old-shards-not-fenced", "P9", "changing the shards does not fence the old ids";
    ShardsUnchecked, "shards-unchecked", "P9", "an instance with the old shards goes on publishing";
    ReadsUnchecked, "reads-unchecked", "P10", "a stream that was only read is not checked at the commit";
    RefusalUnchecked, "refusal-unchecked", "P10", "what a failure rests on is not checked at the commit";
    OldDecisions, "old-decisions", "P10", "after a conflict the old decisions are appended at the new versions";
    StaleCache, "stale-cache", "P10", "a conflict does not drop what is cached of the stream";
    RetryOvertaken, "retry-overtaken", "P11", "a message overtakes a parked one of its key";
    DeadOvertaken, "dead-overtaken", "P11", "a message overtakes a dead one of its key";
    RestOvertakes, "rest-overtakes", "P11", "what waits behind a message whose retry fails is handled all the same";
    LateFollowerForgotten, "late-follower-forgotten", "P11", "a message that joins during a retry is forgotten";
    ClaimWithoutHeld, "claim-without-held", "P11", "a new owner does not know what is parked";
    CulpritDropped, "culprit-dropped", "P12", "what the store refuses is dropped, not dead";
    NotBisected, "not-bisected", "P12", "the first of a refused batch is blamed";
    RetryableIsDead, "retryable-is-dead", "P12", "a failure that may pass is not tried again";
    DeadlineFiredTwice, "deadline-fired-twice", "P13", "a deadline that has fired stays";
    DeadlineNotCleared, "deadline-not-cleared", "P13", "a deadline that was cleared fires";
    DeadlineLost, "deadline-lost", "P13", "a deadline whose claimer dies never fires";
    VoidDeadlineFires, "void-deadline-fires", "P13", "a deadline fires that was set anew in its own batch";
    ClaimUnchecked, "claim-unchecked", "P13", "a deadline or an effect ends without comparing its claim";
    KeyOfAttempt, "key-of-attempt", "P14", "each attempt of an effect has a key of its own";
    NotAsked, "not-asked", "P14", "what became of an earlier attempt is not asked for";
    UnknownIsRefusal, "unknown-is-refusal", "P14", "an attempt without an answer is taken as not made";
    ReadUncommitted, "read-uncommitted", "P15", "a reader sees records whose transaction is open";
    AnsweredEarly, "answered-early", "P15", "a command is answered before it is durable";
    DrainCutShort, "drain-cut-short", "P16", "shutting down does not wait for what was taken";
    UnknownDecidedAgain, "unknown-decided-again", "P17", "an unknown outcome is decided again, not asked for";
    UnknownIsCommitted, "unknown-is-committed", "P17", "an unknown outcome is taken as committed";
    AnswerNotStored, "answer-not-stored", "P17", "a repeated command does not get its first answer";
    TombstoneForgotten, "tombstone-forgotten", "barrier", "a compensation that comes first leaves no tombstone";
    LateActionRuns, "late-action-runs", "barrier", "an action runs although its tombstone is there";
    ActionTwice, "action-twice", "barrier", "an action runs again although it is done";
    UndoneForgotten, "undone-forgotten", "barrier", "a compensation does not note that it is done";
    UndoWithoutAction, "undo-without-action", "barrier", "a compensation undoes what was never done";
    UndoAskedForgotten, "undo-asked-forgotten", "barrier", "a compensation of an action under way is not noted";
    NotUndoneAtOutcome, "not-undone-at-outcome", "barrier", "an unwanted outcome is not undone";
    PivotCalledBack, "pivot-called-back", "barrier", "a cancellation after the pivot comes in time";
    SagaNotInherited, "saga-not-inherited", "barrier", "a later command on a stream starts a saga of its own";
}

/// Whether this is the break that was chosen. Without the feature nothing is.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn broken(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use switch::{UnknownMutant, VARIABLE, chosen, listed};

#[cfg(feature = "mutants")]
pub(crate) use switch::broken;

/// A mutant, as it is listed.
#[cfg(any(test, feature = "mutants"))]
#[cfg_attr(not(feature = "mutants"), allow(unreachable_pub, reason = "seen in that build"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name: small letters and hyphens.
    pub name: &'static str,
    /// The rule that it breaks: `P1` to `P17`, or `barrier`.
    pub rule: &'static str,
    /// What is done wrong.
    pub what: &'static str,
}

#[cfg(feature = "mutants")]
mod switch {
    use std::sync::OnceLock;

    use super::{Listed, Mutant};

    /// Names the mutant of a process; unset or empty for none.
    pub const VARIABLE: &str = "QUADRILLE_MUTANT";

    /// The environment names a mutant that there is none of.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("there is no mutant {0:?}; there are {known}", known = names())]
    pub struct UnknownMutant(pub String);

    fn names() -> String {
        listed().map(|listed| listed.name).collect::<Vec<_>>().join(", ")
    }

    /// All mutants, by rule.
    pub fn listed() -> impl Iterator<Item = Listed> {
        Mutant::ALL.iter().map(|mutant| mutant.told())
    }

    fn read() -> Result<Option<Mutant>, UnknownMutant> {
        let name = std::env::var(VARIABLE).unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        let found = Mutant::ALL.iter().find(|mutant| mutant.told().name == name);
        found.copied().map(Some).ok_or(UnknownMutant(name))
    }

    /// The mutant of this process. It is read once.
    ///
    /// # Errors
    /// [`VARIABLE`] names none that there is.
    pub fn chosen() -> Result<Option<Listed>, UnknownMutant> {
        read_once().clone().map(|mutant| mutant.map(Mutant::told))
    }

    fn read_once() -> &'static Result<Option<Mutant>, UnknownMutant> {
        static CHOSEN: OnceLock<Result<Option<Mutant>, UnknownMutant>> = OnceLock::new();
        CHOSEN.get_or_init(read)
    }

    /// Whether this is the break that was chosen.
    ///
    /// An unknown name ends the process: a run that breaks nothing would look like a mutant that survived.
    #[allow(clippy::print_stderr, reason = "nobody else is there to tell")]
    pub(crate) fn broken(mutant: Mutant) -> bool {
        match read_once() {
            Ok(chosen) => *chosen == Some(mutant),
            Err(unknown) => {
                eprintln!("{unknown}");
                std::process::exit(2);
            }
        }
    }
}

#[cfg(test)]
mod tests;
