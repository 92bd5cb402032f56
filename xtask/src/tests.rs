//! `cargo xtask test`: every suite, with the servers it needs.

mod counts;
mod suites;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::cli::TestArgs;
use crate::process::{Launch, Output};
use crate::servers::{self, Kind, Servers, Wanted};
use crate::workspace::Workspace;
use counts::Counts;
use suites::{Needs, Suite};

/// What became of a suite.
#[derive(Debug)]
enum Outcome {
    Ran { passed: bool, counts: Counts, seconds: f64 },
    LeftOut(&'static str),
}

/// `true` when every test that ran passed, and at least one did.
pub(crate) fn run(workspace: &Workspace, args: &TestArgs) -> Result<bool> {
    let chosen = suites::choose(&args.suite)?;
    servers::require_compilers()?;
    build(workspace)?;
    let mut servers = None;
    let mut outcomes = Vec::new();
    for suite in chosen {
        let outcome = match left_out(workspace, suite, args) {
            Some(reason) => Outcome::LeftOut(reason),
            None => {
                let needed = servers_for(workspace, suite, args, &mut servers)?;
                run_suite(workspace, suite, args, needed)?
            }
        };
        outcomes.push((suite, outcome));
    }
    drop(servers);
    Ok(summarise(&outcomes))
}

/// Everything is built before the first server starts, so that a compiler's error comes
/// early and the servers do not wait for it.
fn build(workspace: &Workspace) -> Result<()> {
    let mut build =
        workspace.cargo("cargo", &["test"]).args(workspace.everything()).arg("--no-run").spawn()?;
    if !build.wait()?.success() {
        bail!("the tests do not build");
    }
    Ok(())
}

fn left_out(workspace: &Workspace, suite: &Suite, args: &TestArgs) -> Option<&'static str> {
    if suite.arguments(workspace.test_targets()).is_none() {
        return Some("it has no test targets");
    }
    (args.no_servers && suite.servers.any()).then_some("--no-servers")
}

/// The servers, started once, when the first suite needs one.
fn servers_for<'a>(
    workspace: &Workspace,
    suite: &Suite,
    args: &TestArgs,
    servers: &'a mut Option<Servers>,
) -> Result<Option<&'a Servers>> {
    if !suite.servers.given() {
        return Ok(None);
    }
    if servers.is_none() {
        let wanted = Wanted { name: "test", source: args.servers, data: None, steady: false };
        *servers = Some(Servers::start(workspace, &Kind::ALL, &wanted)?);
    }
    if let Some(servers) = servers.as_mut() {
        servers.check_alive()?;
    }
    Ok(servers.as_ref())
}

fn run_suite(
    workspace: &Workspace,
    suite: &Suite,
    args: &TestArgs,
    servers: Option<&Servers>,
) -> Result<Outcome> {
    eprintln!("\nxtask: suite {}: {}", suite.name, suite.what);
    let started = Instant::now();
    let mut launch =
        workspace.cargo("cargo test", &["test"]).args(workspace.everything()).arg("--no-fail-fast");
    launch = launch.args(suite.arguments(workspace.test_targets()).unwrap_or_default());
    launch = launch.args(&args.filter);
    if suite.servers == Needs::OwnServers {
        // Built with the tests; the one that runs may have been replaced by it.
        launch = launch.env("QUADRILLE_XTASK", workspace.program("debug", "xtask"));
    }
    launch = servers.into_iter().flat_map(Servers::iter).fold(launch, |launch, server| {
        eprintln!("xtask: on {}", server.origin);
        launch
            .env(server.kind.variable(), &server.address)
            .env(&format!("{}_VERSION", server.kind.variable()), &server.origin)
    });
    let (passed, counts) = stream(launch)?;
    Ok(Outcome::Ran { passed, counts, seconds: started.elapsed().as_secs_f64() })
}

/// Runs it with its output shown as it comes, and counts the results in it.
fn stream(launch: Launch) -> Result<(bool, Counts)> {
    let mut process = launch.output(Output::Pipe).spawn()?;
    let counting =
        process.take_stdout().map(|output| counts::show_and_count(output, std::io::stdout()));
    let passed = process.wait()?.success();
    let counts = counting.map(counts::Counting::finish).unwrap_or_default();
    Ok((passed, counts))
}

fn summarise(outcomes: &[(&Suite, Outcome)]) -> bool {
    println!("\nsuite         passed  failed ignored  seconds");
    let mut all_passed = true;
    let mut total = 0;
    for (suite, outcome) in outcomes {
        let name = suite.name;
        match outcome {
            Outcome::LeftOut(reason) => println!("{name:<12}  not run: {reason}"),
            Outcome::Ran { passed, counts, seconds } => {
                all_passed &= passed;
                total += counts.passed + counts.failed;
                let Counts { passed: ok, failed, ignored } = counts;
                let verdict = if *passed { "" } else { "  FAILED" };
                println!("{name:<12} {ok:>7} {failed:>7} {ignored:>7} {seconds:>8.1}{verdict}");
            }
        }
    }
    if total == 0 {
        println!("no test ran");
    }
    all_passed && total > 0
}
