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
    /// Replay one run, a seed or what a failure printed, and tell what happens in it
    #[arg(long, value_name = "RUN", conflicts_with_all = ["seeds", "from", "json"])]
    pub(crate) replay: Option<String>,
    /// With --replay: tell every call of a port too
    #[arg(long, requires = "replay")]
    pub(crate) calls: bool,
}
