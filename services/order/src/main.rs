//! The order service as a process: `--help` tells how it is configured.

use std::process::ExitCode;

fn main() -> ExitCode {
    quadrille::process::main_configured(order::VARIABLES, |own| {
        let finish_within = order::configured(own)?;
        Some((order::Orders, move |client| order::router_with(client, finish_within)))
    })
}
