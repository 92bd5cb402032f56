//! What came of a run, and what is printed when it is wrong.

use std::{fmt, time::Duration};

use super::{
    faults::{Fault, FaultCounts},
    plan::Site,
};

/// Something that must hold and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The law or the invariant.
    pub name: String,
    /// What breaks it.
    pub detail: String,
    /// Whether the user stated it, or every run must keep it.
    pub is_law: bool,
}

impl Broken {
    pub(super) fn invariant(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), detail: detail.into(), is_law: false }
    }

    pub(super) fn law(name: &str, detail: String) -> Self {
        Self { name: name.to_owned(), detail, is_law: true }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_law { "the law" } else { "the invariant" };
        write!(f, "{what} \"{}\" is broken: {}", self.name, self.detail)
    }
}

/// One run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// The hash of all that happened: equal for equal runs, on every machine.
    pub hash: u64,
    /// How much virtual time it took.
    pub time: Duration,
    /// What was injected.
    pub faults: FaultCounts,
    /// Records that consumers got.
    pub delivered: u64,
    /// Moments at which all was quiet and the laws were looked at, the last one included.
    pub quiet_points: u64,
    /// What is wrong.
    pub broken: Option<Broken>,
    /// A store had lost what was published, and its service stood still, as it must (P8).
    pub halted: bool,
    /// What happened, a line each; empty unless it was asked for.
    pub timeline: String,
    pub(super) sagas: Vec<usize>,
    pub(super) taken: Vec<(Site, Fault)>,
    pub(super) calm: bool,
    pub(super) brief: bool,
    pub(super) occasions: Vec<(Site, Vec<Fault>)>,
    pub(super) repeated: u64,
}

/// A run that broke something, as short as could be found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Counterexample {
    /// The seed that found it.
    pub seed: u64,
    /// What was broken.
    pub broken: Broken,
    /// The sagas of the shortest run.
    pub sagas: Vec<usize>,
    /// The faults of the shortest run: where, and what.
    pub faults: Vec<(String, Fault)>,
    /// What replays it: see [`Simulation::replay`](super::Simulation::replay).
    pub token: String,
    /// The hash of the shortest run.
    pub hash: u64,
    /// The timeline of the shortest run.
    pub timeline: String,
    /// How many sagas and faults the run had that found it.
    pub before: (usize, usize),
    /// How many runs it took to shorten it.
    pub tries: usize,
    /// The command that replays it.
    pub command: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.broken)?;
        writeln!(
            f,
            "\nthe shortest run found, in {} tries: {} of {} sagas, {} of {} faults",
            self.tries,
            self.sagas.len(),
            self.before.0,
            self.faults.len(),
            self.before.1
        )?;
        for (site, fault) in &self.faults {
            writeln!(f, "  {fault} at {site}")?;
        }
        writeln!(f, "\n{}", self.timeline)?;
        writeln!(f, "replay it:   {}", self.command)?;
        write!(f, "hash of it:  {:016x}", self.hash)
    }
}

impl std::error::Error for Counterexample {}
