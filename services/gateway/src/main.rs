//! The gateway as a process: `--help` tells how it is configured.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::run()
}
