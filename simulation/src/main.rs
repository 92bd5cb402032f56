//! Simulates the story: `cargo xtask sim` runs it.

mod args;
mod seeds;

use std::process::ExitCode;

use anyhow::Result;
use args::Args;
use clap::Parser;

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

/// `true` when nothing was broken.
fn run(args: &Args) -> Result<bool> {
    match &args.replay {
        Some(token) => replay(args, token),
        None => seeds::run(args),
    }
}

#[allow(clippy::print_stdout)]
fn replay(args: &Args, token: &str) -> Result<bool> {
    let run = simulation::story().replay(token, args.calls).map_err(anyhow::Error::msg)?;
    print!("{}", run.timeline);
    println!("\nseed {}: {} faults in {:?}", run.seed, run.faults.total(), run.time);
    println!("hash {:016x}", run.hash);
    match &run.broken {
        None if run.halted => println!("a store had lost what was published: its service halted, as it must"),
        None => println!("nothing is broken"),
        Some(broken) => println!("{broken}"),
    }
    Ok(run.broken.is_none())
}
