//! The payment service as a process: `--help` tells how it is configured.

use std::process::ExitCode;

fn main() -> ExitCode {
    quadrille::process::main_configured(payment::VARIABLES, |own| {
        let payment = payment::configured(own)?;
        let router = payment::router_for(&payment);
        Some((payment, router))
    })
}
