//! Any of the four services as a process, or the payment gateway, by the name in `STACK_SERVICE`: one program
//! to build for the tests, whose `main` is that of their own programs.

use std::process::ExitCode;

use quadrille::process;

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let name = std::env::var("STACK_SERVICE").unwrap_or_default();
    match name.as_str() {
        "order" => order::run(),
        "payment" => payment::run(),
        "inventory" => process::main(inventory::Inventory, inventory::router),
        "shipping" => process::main(shipping::Shipping::default(), shipping::router),
        "gateway" => gateway::run(),
        other => {
            eprintln!("STACK_SERVICE is {other:?}: order, payment, inventory, shipping or gateway");
            ExitCode::from(2)
        }
    }
}
