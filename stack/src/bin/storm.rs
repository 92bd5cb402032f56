//! A storm, as `cargo xtask storm` starts it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use stack::storm::{self, Options};
use tokio::signal::unix::{SignalKind, signal};

/// What `cargo xtask storm` hands on; see there.
#[derive(Debug, Parser)]
struct Cli {
    #[arg(long)]
    minutes: f64,
    #[arg(long)]
    rate: u32,
    #[arg(long)]
    instances: u32,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    xtask: PathBuf,
    #[arg(long)]
    json: bool,
}

#[tokio::main]
#[allow(clippy::print_stderr)]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("storm: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)]
async fn run(cli: Cli) -> Result<bool> {
    let own = std::env::current_exe()?;
    let options = Options {
        minutes: cli.minutes,
        rate: cli.rate,
        instances: cli.instances,
        seed: cli.seed,
        folder: cli.folder,
        program: own.with_file_name("stack-service"),
        xtask: cli.xtask,
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    // Whatever ends it: what it has started ends as it is dropped.
    let outcome = tokio::select! {
        outcome = storm::run(&options) => outcome,
        _ = terminated.recv() => Err(anyhow!("interrupted")),
        _ = interrupted.recv() => Err(anyhow!("interrupted")),
    };
    let outcome =
        outcome.with_context(|| format!("data and output are in {}", options.folder.display()))?;
    println!("{outcome}");
    if cli.json {
        println!("{}", outcome.json());
    }
    Ok(outcome.holds())
}
