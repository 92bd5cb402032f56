//! The notification service as a process: `--help` tells how it is configured.

use std::process::ExitCode;

fn main() -> ExitCode {
    notification::run()
}
