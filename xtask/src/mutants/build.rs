//! The programs: built once, with all mutants in them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Mutant;
use crate::process::Output;
use crate::workspace::Workspace;

/// What is run for each mutant.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) simulate: PathBuf,
    pub(super) suites: Vec<Suite>,
}

/// A test program.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// Where `cargo test` would run it.
    pub(super) dir: PathBuf,
}

/// The test targets of the toolkit, in the order in which they are run: what kills most comes first. Those
/// that need servers are left out.
const SUITES: &[&str] = &[
    "engine",
    "agenda",
    "quadrille",
    "store_memory",
    "log_conformance_memory",
    "log_memory",
    "store_sqlite",
];

/// The simulation, optimised; kept apart from the one without mutants.
pub(super) fn simulation(workspace: &Workspace) -> Result<PathBuf> {
    let build =
        ["build", "--quiet", "--release", "--package", "simulation", "--features", "mutants"];
    let build = workspace.cargo("cargo build", &build).output(Output::Stderr);
    ensure!(build.spawn()?.wait()?.success(), "the simulation does not build");
    let (built, own) = (workspace.program("release", "simulate"), workspace.own_dir("mutants")?);
    let kept = own.join("simulate");
    fs::copy(&built, &kept).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(kept)
}

/// The mutants that are built in.
pub(super) fn listed(simulate: &Path) -> Result<Vec<Mutant>> {
    let output = Command::new(simulate).arg("--mutants").output().context("cannot list")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| mutant(line).with_context(|| format!("no mutant: {line}"))).collect()
}

fn mutant(line: &str) -> Option<Mutant> {
    let told: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| told[name].as_str().map(str::to_owned);
    Some(Mutant { name: text("name")?, rule: text("rule")?, what: text("what")? })
}

/// The suites, as test programs.
pub(super) fn suites(workspace: &Workspace) -> Result<Vec<Suite>> {
    let build = ["test", "--no-run", "--quiet", "--message-format=json", "--package", "quadrille"];
    let features = ["--features", "mutants,testing,sqlite", "--lib"];
    let targets = SUITES.iter().filter(|name| **name != "quadrille").flat_map(|n| ["--test", *n]);
    let launch = workspace.cargo("cargo test", &build).args(features).args(targets);
    let mut process = launch.output(Output::Pipe).spawn()?;
    let mut built = vec![];
    if let Some(output) = process.take_stdout() {
        for line in BufReader::new(output).lines() {
            built.extend(suite(&serde_json::from_str(&line?).unwrap_or_default()));
        }
    }
    ensure!(process.wait()?.success(), "the suites do not build");
    let place = |suite: &Suite| SUITES.iter().position(|name| *name == suite.name);
    built.sort_by_key(place);
    if built.len() != SUITES.len() {
        bail!("of the suites {SUITES:?} only {built:?} were built");
    }
    Ok(built)
}

/// The test program that a message of cargo tells of, if it does.
fn suite(message: &Value) -> Option<Suite> {
    let program = message["executable"].as_str()?.into();
    let name = message["target"]["name"].as_str()?.to_owned();
    let dir = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    SUITES.contains(&&*name).then_some(Suite { name, program, dir })
}
