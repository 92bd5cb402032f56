//! What can go wrong, and how often.

use std::{collections::BTreeMap, fmt, str::FromStr};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $kind:ident, $default:literal;)*) => {
        /// The kinds of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name, as [`Faults`] has it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($name),)* }
            }
        }

        /// How often each kind of fault happens: a probability, from 0 to 1, per occasion.
        ///
        /// An occasion is a call of a port, a delivery, a transaction, or, for what comes from outside, a
        /// second of virtual time. Each seed raises some of them and leaves others out, so that seeds
        /// differ in kind and not only in number.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct Faults {
            $($(#[$doc])* pub $name: f64,)*
            /// At most so many faults in one run, so that what happened can be understood.
            pub max: usize,
        }

        impl Default for Faults {
            fn default() -> Self {
                Self { $($name: $default,)* max: 40 }
            }
        }

        impl Faults {
            /// None at all: messages still travel, and tasks still run in any order.
            #[must_use]
            pub fn none() -> Self {
                Self { $($name: 0.0,)* ..Self::default() }
            }

            /// The probability of a kind, per occasion.
            #[must_use]
            pub fn probability(&self, kind: FaultKind) -> f64 {
                match kind { $(FaultKind::$kind => self.$name,)* }
            }

            /// With another probability of a kind, per occasion.
            #[must_use]
            pub fn with(mut self, kind: FaultKind, probability: f64) -> Self {
                match kind { $(FaultKind::$kind => self.$name = probability,)* }
                self
            }
        }
    };
}

kinds! {
    /// An instance dies before, in the middle of, or after a call of a port, and starts again later. What
    /// it had asked for has happened, has not, or happens after its death. Per call.
    crash, Crash, 0.003;
    /// The store does not answer in time; what it was asked for has happened or not. Per call.
    store_timeout, StoreTimeout, 0.01;
    /// An append meets another writer. Per append.
    store_conflict, StoreConflict, 0.03;
    /// An append's outcome is unknown: it is committed, lost, or committed a moment later. Per append.
    unknown_outcome, UnknownOutcome, 0.03;
    /// The log does not answer in time; what it was asked for has happened or not. Per call.
    log_timeout, LogTimeout, 0.01;
    /// A transaction of the relay is in doubt: a request or its answer is lost. Per transaction.
    doubt, Doubt, 0.03;
    /// As a doubt, and the request that ends the transaction arrives much later. Per transaction.
    late_end, LateEnd, 0.03;
    /// Another producer takes the relay's transactional id. Per transaction.
    fencing, Fencing, 0.02;
    /// Records come again. Per delivery.
    redelivery, Redelivery, 0.03;
    /// The records of one lane come late. Per delivery.
    delay, Delay, 0.05;
    /// The group puts a member out in the middle of its work. Per delivery.
    expulsion, Expulsion, 0.01;
    /// A member joins the group for a while: lanes move. Per second.
    rebalance, Rebalance, 0.02;
    /// Another claims the lanes of a service. Per second.
    second_holder, SecondHolder, 0.01;
    /// An instance stands still for longer than its leases and transactions last, and then goes on.
    /// Per second.
    pause, Pause, 0.01;
    /// The world outside does not answer in time; what it was asked for has happened, has not, happens later,
    /// or happens twice. Per call of an effect's performer.
    outside_timeout, OutsideTimeout, 0.08;
    /// The world outside takes no call: nothing has happened. Per call of an effect's performer.
    outside_refusal, OutsideRefusal, 0.05;
    /// A handler fails for a reason that passes, before or after it has decided. Per call of a handler.
    handler_failure, HandlerFailure, 0.01;
    /// A handler fails for a reason that does not pass: its message is dead, and a person rules. Per call of a
    /// handler.
    handler_death, HandlerDeath, 0.003;
    /// A foreign producer sends an event again. Per event that it states.
    foreign_repeat, ForeignRepeat, 0.2;
    /// An instance's clock jumps by up to an hour, forwards or back. Per second.
    clock_jump, ClockJump, 0.01;
    /// An instance is shut down in good order, and starts again. Per second.
    restart, Restart, 0.01;
    /// The log loses the last records of a lane, or a whole topic. Per second.
    log_tail_lost, LogTailLost, 0.004;
    /// The store falls back to an earlier state, as after a fail-over to a replica that lagged; at most
    /// once in a run. Per second.
    store_tail_lost, StoreTailLost, 0.001;
}

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident, $name:literal, $kind:ident;)*) => {
        /// One fault, as it is injected.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$fault,)*];

            /// Its name in tokens and timelines.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$fault => $name,)* }
            }

            /// Its kind.
            #[must_use]
            pub fn kind(self) -> FaultKind {
                match self { $(Self::$fault => FaultKind::$kind,)* }
            }
        }
    };
}

faults! {
    /// The instance dies before the call has an effect.
    CrashBefore, "crash-before", Crash;
    /// The instance dies when the call has had its effect, and before it hears of it.
    CrashAfter, "crash-after", Crash;
    /// The instance dies in the middle: an append lands later, a transaction is half written.
    CrashMidway, "crash-midway", Crash;
    /// The store does not answer, and has done nothing.
    StoreUnavailable, "store-unavailable", StoreTimeout;
    /// The store does not answer, and has done what it was asked.
    StoreNoAnswer, "store-no-answer", StoreTimeout;
    /// A conflict on all that was read.
    Conflict, "conflict", StoreConflict;
    /// A deadlock: a conflict, and the store cannot say on what.
    Deadlock, "deadlock", StoreConflict;
    /// Unknown, and not committed.
    UnknownLost, "unknown-lost", UnknownOutcome;
    /// Unknown, and committed.
    UnknownCommitted, "unknown-committed", UnknownOutcome;
    /// Unknown, and committed a moment later.
    UnknownLate, "unknown-late", UnknownOutcome;
    /// The log does not answer, and has done nothing.
    LogUnavailable, "log-unavailable", LogTimeout;
    /// The log does not answer, and has done what it was asked.
    LogNoAnswer, "log-no-answer", LogTimeout;
    /// The request is lost.
    RequestLost, "request-lost", Doubt;
    /// The answer is lost.
    ReplyLost, "reply-lost", Doubt;
    /// The end of the transaction is decided, but its marks are written much later.
    SlowMarks, "slow-marks", Doubt;
    /// The commit is decided and answered, but one partition never gets its mark: the transaction hangs there.
    LostMark, "lost-mark", Doubt;
    /// The commit arrives much later.
    LateCommit, "late-commit", LateEnd;
    /// The producer gives up; its abort arrives much later.
    LateAbort, "late-abort", LateEnd;
    /// Another producer of the id comes first.
    Fenced, "fenced", Fencing;
    /// Records of a lane come again.
    Again, "again", Redelivery;
    /// A lane's records come late.
    Late, "late", Delay;
    /// The member is put out of its group.
    Expelled, "expelled", Expulsion;
    /// A member comes and goes.
    Visitor, "visitor", Rebalance;
    /// All lanes of a service are claimed by another.
    LanesClaimed, "lanes-claimed", SecondHolder;
    /// The request outside is lost.
    OutsideLost, "outside-lost", OutsideTimeout;
    /// It was done outside; the answer is lost.
    OutsideNoAnswer, "outside-no-answer", OutsideTimeout;
    /// The request is done outside when nobody waits for it any more.
    OutsideLate, "outside-late", OutsideTimeout;
    /// It was done and answered, and arrives once more later.
    OutsideTwice, "outside-twice", OutsideTimeout;
    /// The outside takes no call.
    OutsideRefused, "outside-refused", OutsideRefusal;
    /// The handler fails at once; another try may succeed.
    HandlerFails, "handler-fails", HandlerFailure;
    /// The handler decides, and fails then; another try may succeed.
    HandlerFailsAfter, "handler-fails-after", HandlerFailure;
    /// The handler fails for good.
    HandlerTerminal, "handler-terminal", HandlerDeath;
    /// The handler decides, and then shows a bug.
    HandlerBug, "handler-bug", HandlerDeath;
    /// The event is sent again.
    ForeignAgain, "foreign-again", ForeignRepeat;
    /// The instance stands still.
    Pause, "pause", Pause;
    /// The instance's clock jumps.
    ClockJump, "clock-jump", ClockJump;
    /// The instance drains and starts again.
    Redeploy, "redeploy", Restart;
    /// A lane of the log loses its tail.
    LogTruncated, "log-truncated", LogTailLost;
    /// A topic is made again, empty.
    LogReplaced, "log-replaced", LogTailLost;
    /// The store falls back.
    StoreFellBack, "store-fell-back", StoreTailLost;
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|fault| fault.name() == text);
        found.copied().ok_or_else(|| format!("there is no fault {text:?}"))
    }
}

/// How often each fault was injected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts(BTreeMap<Fault, u64>);

impl FaultCounts {
    pub(super) fn add(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }

    /// How often this one was.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    /// How often a fault of this kind was.
    #[must_use]
    pub fn of_kind(&self, kind: FaultKind) -> u64 {
        self.0.iter().filter(|(fault, _)| fault.kind() == kind).map(|(_, count)| count).sum()
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_every_kind_a_fault() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
        }
        for kind in FaultKind::ALL {
            assert!(Fault::ALL.iter().any(|fault| fault.kind() == *kind), "{kind:?}");
            assert!(Faults::default().probability(*kind) > 0.0, "{kind:?}");
            let changed = Faults::none().with(*kind, 0.5);
            assert!((changed.probability(*kind) - 0.5).abs() < f64::EPSILON);
        }
    }
}
