//! A short storm on servers of its own: every kind of fault, each service killed, and the independent
//! checker at the end.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use stack::storm::{self, Options};

/// The least in which every kind of fault fits.
const MINUTES: f64 = 2.5;
const SEED: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)] // Recovery times, for whoever runs it with --nocapture.
async fn a_short_storm_leaves_every_invariant_whole() -> Result<()> {
    let xtask = std::env::var("QUADRILLE_XTASK").context("run this with `cargo xtask test`")?;
    let options = Options {
        minutes: MINUTES,
        rate: 4,
        instances: 2,
        seed: SEED,
        folder: std::env::temp_dir().join(format!("quadrille-storm-{}", std::process::id())),
        program: env!("CARGO_BIN_EXE_stack-service").into(),
        xtask: PathBuf::from(xtask),
    };
    let outcome = storm::run(&options).await?;
    println!("{outcome}");
    ensure!(outcome.holds(), "{outcome}");
    ensure!(outcome.faults >= 13, "only {} faults", outcome.faults);
    let roles: Vec<&str> = outcome.recovery.keys().copied().collect();
    let all = ["inventory", "kafka", "order", "payment", "postgres", "shipping"];
    ensure!(roles == all, "{roles:?}");
    for invariant in &outcome.report.invariants {
        // What is held is nothing when all is well; everything else was looked at many times.
        let idle = invariant.name == "nothing_held_without_a_plan";
        ensure!(idle || invariant.checked > 10, "{invariant}");
    }
    Ok(())
}
