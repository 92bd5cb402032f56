//! `cargo xtask bench` builds and starts this, with servers.

use std::process::ExitCode;

use bench::args::{Args, Task};
use clap::Parser as _;

/// As in the services' programs; the hand-written side has it as well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[allow(clippy::print_stderr, reason = "a command line tool talks to its terminal")]
fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("QUADRILLE_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match &args.task {
        Some(Task::Service { name }) => runtime.block_on(bench::child(name)).map(|()| true),
        None => runtime.block_on(bench::run(&args)),
    };
    // A publisher's thread may still be in a call of librdkafka.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
