//! Trouble, on purpose and repeatably: what goes wrong with a request depends on the seed, on the request's
//! key, and on how often it has come, but not on what else is going on.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Keys whose tries are counted; beyond them all count as first ones.
const COUNTED_MAX: usize = 1_000_000;
const SHARES: &str =
    "shares are percents: the three failures together are at most 100, and so is the delay";
/// The longest delay, in milliseconds.
pub const DELAY_MS_MAX: u64 = 600_000;

/// How the gateway misbehaves. Shares are in percent of the requests to charges, refunds and voids, the
/// queries included. At most one of the three failures strikes a request; delay comes on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trouble {
    /// What all is drawn from.
    pub seed: u64,
    /// How long a delayed request waits before it is carried out, in milliseconds. It is carried out also
    /// when its caller has gone meanwhile.
    pub delay_ms: u64,
    /// How long the answer of a delayed request waits after it was carried out, in milliseconds.
    pub delay_answer_ms: u64,
    /// Share of delayed requests.
    pub delay_percent: u8,
    /// Share of requests that are answered with 500 and not carried out.
    pub fail_before_percent: u8,
    /// Share of requests that are carried out and then answered with 500.
    pub fail_after_percent: u8,
    /// Share of requests that are carried out, and whose connection is then closed without an answer.
    pub lose_answer_percent: u8,
}

impl Trouble {
    /// Whether the shares make sense.
    ///
    /// # Errors
    /// A share, or the three failures together, above 100.
    pub fn check(&self) -> Result<(), &'static str> {
        let shares = [self.fail_before_percent, self.fail_after_percent, self.lose_answer_percent];
        let sum: u32 = shares.iter().copied().map(u32::from).sum();
        if sum > 100 || self.delay_percent > 100 {
            return Err(SHARES);
        }
        if self.delay_ms > DELAY_MS_MAX || self.delay_answer_ms > DELAY_MS_MAX {
            return Err("a delay is at most 600000 milliseconds");
        }
        Ok(())
    }

    fn fate(&self, request: &str, times: u64) -> Fate {
        let roll = |salt: u64| {
            // Its keys are fixed: the same in every run.
            let mut hasher = DefaultHasher::new();
            (self.seed, salt, times, request).hash(&mut hasher);
            hasher.finish() % 100
        };
        let delayed = roll(1) < self.delay_percent.into();
        let (before, after) =
            (u64::from(self.fail_before_percent), u64::from(self.fail_after_percent));
        let lost = u64::from(self.lose_answer_percent);
        let end = match roll(2) {
            n if n < before => Ending::FailBefore,
            n if n < before + after => Ending::FailAfter,
            n if n < before + after + lost => Ending::LoseAnswer,
            _ => Ending::Well,
        };
        let delay = Delay {
            before: Duration::from_millis(self.delay_ms),
            after: Duration::from_millis(self.delay_answer_ms),
        };
        Fate { delay: delayed.then_some(delay), end }
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) delay: Option<Delay>,
    pub(crate) end: Ending,
}

/// How long a request, and then its answer, are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay {
    pub(crate) before: Duration,
    pub(crate) after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Well,
    FailBefore,
    FailAfter,
    LoseAnswer,
}

/// How much trouble was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Requests that were delayed.
    pub delayed: u64,
    /// Requests that failed and were not carried out.
    pub failed_before: u64,
    /// Requests that were carried out and failed.
    pub failed_after: u64,
    /// Requests that were carried out without an answer.
    pub answers_lost: u64,
}

/// Decides fates, and counts them.
#[derive(Debug, Default)]
pub(crate) struct Mischief {
    state: Mutex<(Trouble, BTreeMap<String, u64>)>,
    delayed: AtomicU64,
    failed_before: AtomicU64,
    failed_after: AtomicU64,
    answers_lost: AtomicU64,
}

impl Mischief {
    pub(crate) fn trouble(&self) -> Trouble {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (trouble, BTreeMap::new());
    }

    pub(crate) fn made(&self) -> Made {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Made {
            delayed: read(&self.delayed),
            failed_before: read(&self.failed_before),
            failed_after: read(&self.failed_after),
            answers_lost: read(&self.answers_lost),
        }
    }

    pub(crate) fn next(&self, request: &str) -> Fate {
        let fate = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (trouble, tries) = &mut *state;
            let calm = Trouble { seed: trouble.seed, ..Trouble::default() };
            if *trouble == calm {
                return Fate { delay: None, end: Ending::Well };
            }
            let times = tries.get(request).copied().unwrap_or(0);
            if times > 0 || tries.len() < COUNTED_MAX {
                tries.insert(request.to_owned(), times + 1);
            }
            trouble.fate(request, times)
        };
        self.count(fate);
        fate
    }

    fn count(&self, fate: Fate) {
        let add = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        if fate.delay.is_some() {
            add(&self.delayed);
        }
        match fate.end {
            Ending::Well => {}
            Ending::FailBefore => add(&self.failed_before),
            Ending::FailAfter => add(&self.failed_after),
            Ending::LoseAnswer => add(&self.answers_lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64) -> Vec<Fate> {
        let trouble = Trouble {
            seed,
            delay_ms: 1,
            delay_answer_ms: 0,
            delay_percent: 50,
            fail_before_percent: 10,
            fail_after_percent: 10,
            lose_answer_percent: 10,
        };
        (0..1_000).map(|n| trouble.fate(&format!("POST /charges {n}"), 0)).collect()
    }

    #[test]
    fn the_seed_decides_and_shares_are_kept() {
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
        for end in [Ending::FailBefore, Ending::FailAfter, Ending::LoseAnswer] {
            let struck = fates(1).iter().filter(|fate| fate.end == end).count();
            assert!((60..140).contains(&struck), "{end:?}: {struck} of 1000");
        }
        let delayed = fates(1).iter().filter(|fate| fate.delay.is_some()).count();
        assert!((400..600).contains(&delayed), "{delayed}");
    }

    #[test]
    fn a_request_that_comes_again_has_another_chance() {
        let trouble = Trouble { fail_before_percent: 50, ..Trouble::default() };
        let ends: Vec<_> = (0..64).map(|times| trouble.fate("GET /charges/k", times).end).collect();
        assert!(ends.contains(&Ending::Well) && ends.contains(&Ending::FailBefore));
    }

    #[test]
    fn shares_above_the_whole_are_refused() {
        let trouble =
            Trouble { fail_before_percent: 60, fail_after_percent: 60, ..Trouble::default() };
        assert!(trouble.check().is_err());
        assert!(Trouble { lose_answer_percent: 100, ..Trouble::default() }.check().is_ok());
    }
}
