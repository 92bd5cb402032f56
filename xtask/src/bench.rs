//! `cargo xtask bench`: `bench` as one builds for production, on real PostgreSQL and Kafka.

use anyhow::{Result, bail};

use crate::cli::BenchArgs;
use crate::process::Output;
use crate::servers::{self, Kind, Servers, Wanted};
use crate::workspace::Workspace;

const PROGRAM: &str = "quadrille-bench";

/// `true` when every case was measured.
pub(crate) fn run(workspace: &Workspace, args: &BenchArgs) -> Result<bool> {
    servers::require_compilers()?;
    // A smoke run is not worth the wait for the whole program's optimisation.
    let profile = if args.quick { "release" } else { "production" };
    eprintln!("xtask: building the bench ({profile})");
    let build =
        ["build", "--profile", profile, "--package", "bench", "--features", "bench/servers"];
    let mut build = workspace.cargo("cargo", &build).output(Output::Stderr).spawn()?;
    if !build.wait()?.success() {
        bail!("the bench does not build");
    }
    let program = workspace.program(profile, PROGRAM);
    let mut launch =
        crate::process::Launch::new("bench", program).args(arguments(args)).dir(workspace.root());
    if args.list {
        return Ok(launch.spawn()?.wait()?.success());
    }
    let wanted = Wanted { name: "bench", source: args.servers, data: None, steady: !args.quick };
    let servers = Servers::start(workspace, &Kind::ALL, &wanted)?;
    for server in servers.iter() {
        launch = launch.env(server.kind.variable(), &server.address);
        // What is not a child of ours has no CPU time that could be read.
        if let Some(id) = server.process_id() {
            launch = launch.env(process_variable(server.kind), id.to_string());
        }
    }
    Ok(launch.spawn()?.wait()?.success())
}

fn process_variable(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "QUADRILLE_BENCH_POSTGRES_PID",
        Kind::Kafka => "QUADRILLE_BENCH_KAFKA_PID",
    }
}

fn arguments(args: &BenchArgs) -> Vec<String> {
    let flags = [("--quick", args.quick), ("--json", args.json), ("--list", args.list)];
    let flags = flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned());
    flags.chain(args.names.iter().cloned()).collect()
}
