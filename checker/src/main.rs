//! Checks what four services left behind in Kafka and PostgreSQL. `checker --help` says more.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::process::ExitCode;

use anyhow::Result;
use checker::{
    judge::judge,
    read::{self, Source, Sources},
};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(
    about = "Checks from outside that log and store agree, that nothing was lost, doubled or made up, and that the story's laws hold",
    after_help = "\
Ask it when all is quiet: a message under way is a violation here.

On the servers of `cargo xtask up`:
  checker --kafka \"$QUADRILLE_TEST_KAFKA\" \\
          --database postgres://postgres@127.0.0.1:PORT/quadrille_{service}

Exit codes: 0 all invariants hold, 1 at least one does not, 2 it could not be checked."
)]
struct Cli {
    /// Kafka's bootstrap servers
    #[arg(long, value_name = "HOST:PORT")]
    kafka: String,
    /// The databases' URL, with `{service}` for the service's name
    #[arg(long, value_name = "URL")]
    database: String,
    /// The first part of the topics' names
    #[arg(long, default_value = "quadrille")]
    namespace: String,
    /// The services whose tables and topics are read
    #[arg(long, value_delimiter = ',', default_value = "order,payment,inventory,shipping")]
    services: Vec<String>,
    /// One JSON object instead of a line for each invariant
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("checker: error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> Result<bool> {
    let source = |name: &String| Source::of(&cli.namespace, name, &cli.database);
    let services = cli.services.iter().map(source).collect();
    let sources = Sources { kafka: cli.kafka, namespace: cli.namespace, services };
    let report = judge(&read::gather(&sources, None).await?);
    if cli.json {
        println!("{}", report.json());
    } else {
        print!("{report}");
    }
    Ok(report.holds())
}
