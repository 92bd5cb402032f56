//! Running a target: one input, or many for a while.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use crate::{
    Target,
    mutate::{invent, mutate},
    random::Random,
};

/// Inputs that one run keeps in mind to make more of, beside the corpus.
const POOL_MAX: usize = 4_096;
/// Attempts to make a failing input smaller.
const SHRINK_ATTEMPTS_MAX: usize = 20_000;

/// An input that shows a fault.
#[derive(Debug)]
pub struct Fault {
    /// The input, made as small as it would go.
    pub input: Vec<u8>,
    /// What is wrong.
    pub message: String,
}

/// Tries one input; a panic is a fault too. The error says what is wrong.
///
/// # Errors
/// What the target found.
pub fn try_one(target: &mut dyn Target, input: &[u8]) -> Result<Vec<u64>, String> {
    let tried = panic::catch_unwind(AssertUnwindSafe(|| target.check(input)));
    tried.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("it panics: {}", text.unwrap_or_default()))
    })
}

/// Makes inputs of `corpus` until the time is over or one shows a fault. Returns how many were tried.
pub fn run(
    target: &mut dyn Target,
    corpus: &[Vec<u8>],
    seed: u64,
    time: Duration,
) -> (u64, Option<Fault>) {
    let mut random = Random::new(seed);
    let mut pool = corpus.to_vec();
    let mut known = std::collections::HashSet::new();
    let started = Instant::now();
    let mut tried = 0;
    while started.elapsed() < time {
        let input = match random.choose(&pool) {
            Some(known) if random.clone().below(50) > 0 => {
                let known = known.clone();
                mutate(&known, &pool, &mut random)
            }
            _ => invent(&mut random),
        };
        tried += 1;
        match try_one(target, &input) {
            Ok(features) => {
                // What behaves in a new way is worth changing further.
                let new = features.into_iter().filter(|feature| known.insert(*feature)).count();
                if new > 0 && pool.len() < POOL_MAX {
                    pool.push(input);
                }
            }
            Err(message) => return (tried, Some(shrink(target, input, message))),
        }
    }
    (tried, None)
}

/// Leaves out what the fault does not need.
fn shrink(target: &mut dyn Target, input: Vec<u8>, message: String) -> Fault {
    let mut fault = Fault { input, message };
    let mut attempts = 0;
    let mut size = fault.input.len() / 2;
    while size > 0 && attempts < SHRINK_ATTEMPTS_MAX {
        let mut at = 0;
        while at < fault.input.len() && attempts < SHRINK_ATTEMPTS_MAX {
            attempts += 1;
            let mut smaller = fault.input.clone();
            smaller.drain(at..(at + size).min(smaller.len()));
            match try_one(target, &smaller) {
                Err(message) => fault = Fault { input: smaller, message },
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    fault
}
