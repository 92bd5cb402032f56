//! The command line.

use clap::Parser;

/// Simulates the four services on virtual time, seed by seed
#[derive(Debug, Parser)]
#[command(name = "simulate")]
pub(crate) struct Args {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) from: u64,
    /// Print JSON: the last line sums up
    #[arg(long)]
    pub(crate) json: bool,
    /// Stop at the first seed that breaks something, and do not look for a shorter run
    #[arg(long)]
    pub(crate) until_broken: bool,
    /// How many seeds to run side by side; as many as there are processors if not given
    #[arg(long, value_name = "J")]
    pub(crate) jobs: Option<usize>,
    /// List the deliberate breaks that are built in, as JSON, one a line
    #[cfg(feature = "mutants")]
    #[arg(long)]
    pub(crate) mutants: bool,
    /// Replay one run, a seed or what a failure printed, and tell what happens in it
    #[arg(long, value_name = "RUN", conflicts_with_all = ["seeds", "from", "json"])]
    pub(crate) replay: Option<String>,
    /// Explore one order's story to the end instead: every run with up to F faults
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "2", conflicts_with_all = ["seeds", "from", "replay"])]
    pub(crate) exhaustive: Option<usize>,
    /// With --exhaustive, and to replay what it has found: instances of each service
    #[arg(long, value_name = "I", default_value_t = 1)]
    pub(crate) instances: usize,
    /// With --exhaustive, and to replay what it has found: the order is charged through a gateway outside
    #[arg(long)]
    pub(crate) gateway: bool,
    /// With --exhaustive: stop after so many runs, and say that it was not all
    #[arg(long, value_name = "N", requires = "exhaustive", default_value_t = u64::MAX)]
    pub(crate) runs_max: u64,
    /// With --replay: tell every call of a port too
    #[arg(long, requires = "replay")]
    pub(crate) calls: bool,
}

impl Args {
    /// Where the one order of the bounded search is charged.
    pub(crate) fn charged(&self) -> simulation::Charged {
        if self.gateway { simulation::Charged::Outside } else { simulation::Charged::Here }
    }
}
