//! The quadrille command line.
//!
//! Exit codes: 0 when all is well, 1 when something was found or could not be done, 2 when the command
//! line itself is wrong. What was asked for goes to standard output, all else to standard error.

mod graph;
mod operator;
mod output;
mod story;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks at a choreography, at what waits for a person, and at single sagas.
#[derive(Debug, Parser)]
#[command(
    name = "quadrille",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 all is well, 1 something was found or could not be done, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Graph(graph::Arguments),
    Letters(operator::letters::Arguments),
    Saga(operator::saga::Arguments),
}

impl Command {
    fn run(&self) -> Result<(), output::Failure> {
        match self {
            Self::Graph(arguments) => graph::run(arguments, &story::story()),
            Self::Letters(arguments) => operator::letters::run(arguments),
            Self::Saga(arguments) => operator::saga::run(arguments),
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::from(if matches!(failure, output::Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}
