//! `cargo xtask sim`: builds the simulation optimised, and runs it.

use anyhow::Result;

use crate::cli::SimArgs;
use crate::workspace::Workspace;

pub(crate) const HELP: &str = "\
Examples:
  cargo xtask sim --seeds 5000 --from 1000        seeds 1000 to 5999
  cargo xtask sim --seeds 1000 --json             the last line sums up
  cargo xtask sim --replay 42                     one seed: what happens in it, and its hash
  cargo xtask sim --exhaustive                    one order, and every run with up to two faults
  cargo xtask sim --help                          all arguments

docs/simulation.md tells what it is.";

/// `true` when nothing was broken.
pub(crate) fn run(workspace: &Workspace, args: &SimArgs) -> Result<bool> {
    let build = ["build", "--quiet", "--release", "--package", "simulation"];
    if !workspace.cargo("cargo build", &build).spawn()?.wait()?.success() {
        anyhow::bail!("the simulation does not build");
    }
    let program = workspace.program("release", "simulate");
    let launch = crate::process::Launch::new("simulate", program).args(&args.arguments);
    Ok(launch.spawn()?.wait()?.success())
}
