//! The shipping service as a process: `--help` tells how it is configured.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quadrille::process::main(shipping::Shipping::default(), shipping::router)
}
