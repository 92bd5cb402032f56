//! The inventory service as a process: `--help` tells how it is configured.

use std::process::ExitCode;

fn main() -> ExitCode {
    quadrille::process::main(inventory::Inventory, inventory::router)
}
