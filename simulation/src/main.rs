//! Simulates the story: `cargo xtask sim` runs it.

mod args;
mod exhaustive;
#[cfg(feature = "mutants")]
mod mutants;
mod seeds;

use std::process::ExitCode;

use anyhow::Result;
use args::Args;
use clap::Parser;
use quadrille::testing::Simulation;

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("simulate: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A run of the bounded search is one of the small story.
fn story_for(token: &str, args: &Args) -> Simulation {
    if token.contains(";brief;") {
        simulation::one_order(args.instances, args.charged())
    } else {
        simulation::story()
    }
}

/// `true` when nothing was broken.
fn run(args: &Args) -> Result<bool> {
    #[cfg(feature = "mutants")]
    if mutants::listed(args)? {
        return Ok(true);
    }
    match (&args.replay, args.exhaustive) {
        (Some(token), _) => replay(args, token),
        (None, Some(faults_max)) => Ok(exhaustive::run(args, faults_max)),
        (None, None) => seeds::run(args),
    }
}

#[allow(clippy::print_stdout)]
fn replay(args: &Args, token: &str) -> Result<bool> {
    let run = story_for(token, args).replay(token, args.calls).map_err(anyhow::Error::msg)?;
    print!("{}", run.timeline);
    println!("\nseed {}: {} faults in {:?}", run.seed, run.faults.total(), run.time);
    println!("hash {:016x}", run.hash);
    match &run.broken {
        None if run.halted => {
            println!("a store had lost what was published: its service halted, as it must")
        }
        None => println!("nothing is broken"),
        Some(broken) => println!("{broken}"),
    }
    Ok(run.broken.is_none())
}
