//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::interrupt::{self, Interrupted};
use crate::{bench, check, mutants, programs, sim, storm, tests, tidy, up, workspace};

/// Exit code of a command that a signal ended, as shells report it for SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "Tests on real servers, servers for work by hand, and checks of form",
    after_help = "A change is ready when both of these pass:\n  \
                  cargo xtask test     every test, real PostgreSQL and Kafka included\n  \
                  cargo xtask check    format, lints, docs, dependencies, repository rules"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every test; start PostgreSQL and Kafka for those that need them
    #[command(after_help = SERVERS_HELP)]
    Test(TestArgs),
    /// Start PostgreSQL, Kafka, the four services and the payment gateway, print their addresses, and stay until Ctrl-C
    #[command(after_help = SERVERS_HELP)]
    Up(UpArgs),
    /// Attack the four services on real PostgreSQL and Kafka while orders flow, then check everything
    #[command(after_help = STORM_HELP)]
    Storm(StormArgs),
    /// End what `cargo xtask up` started, and wait until it is gone
    Down(DownArgs),
    /// Measure on PostgreSQL and Kafka, each figure beside hand-written code; optimised build
    #[command(after_help = BENCH_HELP)]
    Bench(BenchArgs),
    /// Explore the relay's protocol (P5 to P9) exhaustively, and its broken variants
    #[command(after_help = MODEL_HELP)]
    Model(OwnArgs),
    /// Feed every decoder of outside bytes with new random and mutated inputs
    #[command(after_help = FUZZ_HELP)]
    Fuzz(FuzzArgs),
    /// Simulate the four services on virtual time, seed by seed, while everything fails
    #[command(after_help = sim::HELP, disable_help_flag = true)]
    Sim(SimArgs),
    /// Break the protocol on purpose, one rule at a time, and see the simulation or a suite fail
    #[command(after_help = mutants::HELP)]
    Mutants(MutantsArgs),
    /// Check format, lints, documentation, dependencies and the repository's own rules
    Check,
    /// Check the repository's own rules only: sizes, leftovers, links, named rules
    Tidy,
}

const SERVERS_HELP: &str = "\
Where the servers come from, first match wins:
  1. addresses in the environment:
       QUADRILLE_TEST_POSTGRES=postgres://user:password@host:port/postgres  (may create databases)
       QUADRILLE_TEST_KAFKA=host:port[,host:port]
  2. Docker, where `docker info` answers and the image is there or can be pulled
  3. this machine: PostgreSQL (15 or newer) as installed, else its binaries from Maven;
     Kafka from Maven, on Java 17 or newer

Own servers listen on free loopback ports, keep their data in a temporary folder and are
gone when the command ends, however it ends. Their output is in target/xtask/logs/.";

const MODEL_HELP: &str = "\
Options (`cargo xtask model -- --help` says more):
  --large         more than ten million states
  --states N      stop each exploration after about N states
  --variant NAME  one broken variant and its counterexample (`all` for every one)
  --json          a last line of JSON

docs/model.md says what is modelled and how to read a counterexample.";

const FUZZ_HELP: &str = "\
What is found is saved in the corpus, where plain `cargo test` finds it from then on.
docs/fuzzing.md says more.";

/// Arguments that the program itself understands.
#[derive(Debug, Args)]
pub(crate) struct OwnArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// How long each target is run
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) seconds: u64,
    /// The seed of the first input; else one from the clock
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Which targets (all of them when none is named; `help` lists them)
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Leave out the suites that need PostgreSQL or Kafka (the summary names them)
    #[arg(long)]
    pub(crate) no_servers: bool,
    /// Run only tests whose name contains NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) filter: Option<String>,
    /// Run only this suite (repeatable); `--suite help` lists them
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Vec<String>,
    /// Where own servers come from
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    pub(crate) servers: Source,
}

const BENCH_HELP: &str = "\
Examples:
  cargo xtask bench                all cases; half an hour, on a machine that does nothing else
  cargo xtask bench r1 r2          append and relay against hand-written loops
  cargo xtask bench whole          sagas a second of the whole
  cargo xtask bench --quick        a minute or two; it shows that all runs, not how fast
  cargo xtask bench --json | tail -n 1 | jq .figures

Each ratio is measured in turns with hand-written code that gives the same guarantee, and shown
with its minimum, median and maximum. `by CPU` is the same ratio by CPU time: where other programs
share the machine, trust it more than the clock. bench/README.md says what each figure means and
what was reached. A figure below its target is no failure; a case that cannot be measured is.

Servers come as in `cargo xtask test --help`; those in containers, or given by their addresses,
show no CPU time.";

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A smoke run: small sizes, short rounds; its figures say little
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print one JSON object with every figure as the last line of standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// List the cases and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Only these cases; a name stands for all that begin with it
    #[arg(value_name = "NAMES")]
    pub(crate) names: Vec<String>,
    /// Where own servers come from
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    pub(crate) servers: Source,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Start the servers without the services
    #[arg(long, conflicts_with_all = ["instances", "release"])]
    pub(crate) only_servers: bool,
    /// How many processes of each service
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=20))]
    pub(crate) instances: u16,
    /// Build the services optimised: slower to build, several times faster to run
    #[arg(long)]
    pub(crate) release: bool,
    /// Start notification too, and tell the merchant at URL how each order ended
    #[arg(long, value_name = "URL", conflicts_with = "only_servers")]
    pub(crate) merchant_url: Option<String>,
    /// The key of the signatures of what the merchant is told
    #[arg(long, value_name = "whsec_…", requires = "merchant_url", default_value = MERCHANT_SECRET)]
    pub(crate) merchant_secret: String,
    /// Start again what dies: a server on its data at its address, a service at its address
    #[arg(long)]
    pub(crate) restart: bool,
    /// Keep data and output in DIR instead of a temporary folder (own local servers, then)
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Names this set of servers, so that several can be up at once
    #[arg(long, default_value = UP_NAME, value_parser = parse_name)]
    pub(crate) name: String,
    /// Where own servers come from
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    pub(crate) servers: Source,
}

/// For work by hand: who listens can check signatures with it, and so can everybody else.
const MERCHANT_SECRET: &str = "whsec_Zm9yIHdvcmsgYnkgaGFuZCwgYW5kIG5vIHNlY3JldA==";

const STORM_HELP: &str = "\
It starts its own PostgreSQL and Kafka, and the four services as processes, each behind proxies.
Orders are placed at a steady rate, some are cancelled. Meanwhile, one after the other:
  each service, the broker and PostgreSQL are killed with SIGKILL, and come back;
  a service, the broker, PostgreSQL are stopped for longer than leases and transactions last;
  connections to the broker and to the databases are cut;
  the broker is killed in the middle of a commit;
  a commit is held back, its process is killed, and the commit reaches the broker late.
The schedule is drawn from the seed and printed first; the same seed, minutes and instances give it
again. At the end it waits for quiet, and a checker that shares no code with the toolkit compares
tables and topics. docs/storm.md says what it checks, and how to read the result.

  cargo xtask storm                                two minutes and a half
  cargo xtask storm --minutes 30 --rate 20         half an hour
  cargo xtask storm --seed 7 --json | tail -n 1    again what seed 7 did; one JSON object at the end

Exit code 1 when an invariant is violated; data and output are kept then, in a folder that is named.";

#[derive(Debug, Args)]
pub(crate) struct StormArgs {
    /// How long orders are placed and faults come (2.5 has every kind of fault)
    #[arg(long, default_value_t = 2.5, value_name = "M", value_parser = parse_minutes)]
    pub(crate) minutes: f64,
    /// Orders a second
    #[arg(long, default_value_t = 8, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rate: u32,
    /// How many processes of each service
    #[arg(long, default_value_t = 2, value_name = "I", value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) instances: u32,
    /// What orders and faults are drawn from; a new one each time if not given
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.5..=600.0).contains(&minutes) => Ok(minutes),
        _ => Err("minutes are a number from 0.5 to 600".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// For the simulation: `cargo xtask sim --help` lists them
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MutantsArgs {
    /// Only these (all of them when none is named)
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Seeds of the simulation for each mutant, before the suites
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub(crate) json: bool,
    /// List them and end
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// The name that `up` was given
    #[arg(long, default_value = UP_NAME, value_parser = parse_name)]
    pub(crate) name: String,
}

/// The set of servers of those who do not name one.
const UP_NAME: &str = "up";

/// A name becomes part of file names.
fn parse_name(name: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err("letters, digits, - and _ only");
    }
    Ok(name.to_owned())
}

/// Where servers that xtask starts itself come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// Docker where an engine answers, else this machine
    Auto,
    /// Docker, or fail
    Docker,
    /// This machine: installed programs and Maven artifacts
    Local,
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("xtask: interrupted; all that was started is gone");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `true` when all went well, `false` when the command ran and found failures.
fn run(command: Command) -> Result<bool> {
    interrupt::listen()?;
    let workspace = workspace::Workspace::load()?;
    match command {
        Command::Test(args) => tests::run(&workspace, &args),
        Command::Up(args) => up::up(&workspace, &args),
        Command::Storm(args) => storm::run(&workspace, &args),
        Command::Down(args) => up::down(&workspace, &args),
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Model(args) => programs::model(&workspace, &args),
        Command::Fuzz(args) => programs::fuzz(&workspace, &args),
        Command::Sim(args) => sim::run(&workspace, &args),
        Command::Mutants(args) => mutants::run(&workspace, &args),
        Command::Check => check::run(&workspace),
        Command::Tidy => tidy::run(&workspace),
    }
}

/// What `cargo xtask up` with these arguments means.
#[cfg(test)]
pub(crate) fn up(arguments: &[&str]) -> UpArgs {
    let line = ["cargo-xtask", "up"].iter().chain(arguments);
    match Cli::parse_from(line).command {
        Command::Up(args) => args,
        other => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod test {
    use clap::CommandFactory;

    #[test]
    fn names_cannot_leave_their_folder() {
        assert_eq!(super::parse_name("a-1_B").as_deref(), Ok("a-1_B"));
        assert!(super::parse_name("../a").is_err() && super::parse_name("").is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
