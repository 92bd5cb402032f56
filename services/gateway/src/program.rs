//! The gateway as a process: its command line, its signals.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, anyhow};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Office, Trouble, serve};

/// A payment gateway over HTTP that can be told to misbehave. `PUT /trouble` changes the switches while it
/// runs; `GET /totals` shows what it did.
#[derive(Debug, Parser)]
#[command(name = "gateway")]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "GATEWAY_ADDRESS", default_value = "127.0.0.1:8090", value_name = "IP:PORT")]
    address: SocketAddr,
    /// Keep all entries in this file, and go on from what it holds
    #[arg(long, env = "GATEWAY_JOURNAL", value_name = "FILE")]
    journal: Option<PathBuf>,
    /// What the trouble is drawn from
    #[arg(long, env = "GATEWAY_SEED", default_value_t = 1, value_name = "S")]
    seed: u64,
    /// How long a delayed request waits before it is carried out, in milliseconds
    #[arg(long, env = "GATEWAY_DELAY_MS", default_value_t = 0, value_name = "MS")]
    delay_ms: u64,
    /// How long the answer of a delayed request waits after it was carried out, in milliseconds
    #[arg(long, env = "GATEWAY_DELAY_ANSWER_MS", default_value_t = 0, value_name = "MS")]
    delay_answer_ms: u64,
    /// Percent of requests that are delayed
    #[arg(long, env = "GATEWAY_DELAY", default_value_t = 100, value_name = "PERCENT")]
    delay: u8,
    /// Percent of requests that are answered with 500 and not carried out
    #[arg(long, env = "GATEWAY_FAIL_BEFORE", default_value_t = 0, value_name = "PERCENT")]
    fail_before: u8,
    /// Percent of requests that are carried out and answered with 500
    #[arg(long, env = "GATEWAY_FAIL_AFTER", default_value_t = 0, value_name = "PERCENT")]
    fail_after: u8,
    /// Percent of requests that are carried out and never answered
    #[arg(long, env = "GATEWAY_LOSE_ANSWER", default_value_t = 0, value_name = "PERCENT")]
    lose_answer: u8,
}

impl Args {
    fn trouble(&self) -> Trouble {
        Trouble {
            seed: self.seed,
            delay_ms: self.delay_ms,
            delay_answer_ms: self.delay_answer_ms,
            delay_percent: if self.delay_ms + self.delay_answer_ms == 0 { 0 } else { self.delay },
            fail_before_percent: self.fail_before,
            fail_after_percent: self.fail_after,
            lose_answer_percent: self.lose_answer,
        }
    }
}

/// The gateway as a process, until a signal ends it. `--help` tells how it is configured.
#[must_use]
pub fn run() -> ExitCode {
    match work(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("gateway: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn work(args: &Args) -> Result<()> {
    let office = match &args.journal {
        Some(path) => {
            Office::open(path).with_context(|| format!("cannot use {}", path.display()))?
        }
        None => Office::in_memory(),
    };
    office.set_trouble(args.trouble()).map_err(|error| anyhow!(error))?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut serving = serve(office, args.address)
        .await
        .with_context(|| format!("cannot listen on {}", args.address))?;
    say(&format!("gateway: {}", serving.url()));
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = serving.ended() => {}
    }
    Ok(())
}

#[allow(clippy::print_stderr)]
fn say(text: &str) {
    eprintln!("{text}");
}
