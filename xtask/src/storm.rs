//! `cargo xtask storm`: builds what a storm is made of, and runs it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::cli::StormArgs;
use crate::process::{Launch, Output};
use crate::servers;
use crate::workspace::Workspace;

/// Services, servers and proxies end within seconds.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// So large seeds are long to type.
const SEEDS: u128 = 1_000_000;

/// `true` when every invariant holds.
pub(crate) fn run(workspace: &Workspace, args: &StormArgs) -> Result<bool> {
    servers::require_compilers()?;
    build(workspace)?;
    let seed = match args.seed {
        Some(seed) => seed,
        None => u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() % SEEDS)?,
    };
    let folder = workspace.own_dir("storm")?.join(format!("{seed}-{}", std::process::id()));
    let mut storm = Launch::new("storm", workspace.program("debug", "stack-storm"))
        .args(["--minutes", &args.minutes.to_string(), "--rate", &args.rate.to_string()])
        .args(["--instances", &args.instances.to_string(), "--seed", &seed.to_string()])
        .arg("--folder")
        .arg(folder)
        .arg("--xtask")
        .arg(std::env::current_exe().context("cannot find the own program")?)
        .stop(Signal::SIGTERM, STOP_LIMIT);
    if args.json {
        storm = storm.arg("--json");
    }
    Ok(storm.spawn()?.wait()?.success())
}

/// With the features of `cargo xtask test`, so that nothing is built twice.
fn build(workspace: &Workspace) -> Result<()> {
    eprintln!("xtask: building the services and the storm");
    let build = workspace.cargo("cargo", &["build"]).args(workspace.everything());
    let build = build.args(["--bin", "stack-service", "--bin", "stack-storm"]);
    if !build.output(Output::Stderr).spawn()?.wait()?.success() {
        bail!("the storm does not build");
    }
    Ok(())
}
