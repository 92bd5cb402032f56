//! The command line.

use clap::{Parser, Subcommand};

/// What the bench is asked for. `cargo xtask bench` passes its own arguments on.
#[derive(Debug, Parser)]
#[command(
    name = "quadrille-bench",
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// A smoke run: small sizes, short rounds; its figures say little
    #[arg(long)]
    pub quick: bool,
    /// Print one JSON object with every figure as the last line
    #[arg(long)]
    pub json: bool,
    /// List the cases and end
    #[arg(long)]
    pub list: bool,
    /// Only these cases; a name stands for all that begin with it
    #[arg(value_name = "NAMES")]
    pub names: Vec<String>,
    /// What else this program can be.
    #[command(subcommand)]
    pub task: Option<Task>,
}

/// What this program does when it is not the bench.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// One service of the four, in a process of its own
    #[command(hide = true)]
    Service {
        /// Which.
        name: String,
    },
}
