//! What the repository does with itself: run every test on real servers, keep the
//! servers up for work by hand, and check form and style. `cargo xtask --help` says more.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod bench;
mod check;
mod cli;
mod interrupt;
mod mutants;
mod process;
mod programs;
mod servers;
mod services;
mod sim;
mod storm;
mod tempdir;
mod tests;
mod tidy;
mod up;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some(process::guard::COMMAND) => process::guard::main(&arguments[1..]),
        Some(process::watchdog::COMMAND) => process::watchdog::main(),
        _ => cli::main(),
    }
}
