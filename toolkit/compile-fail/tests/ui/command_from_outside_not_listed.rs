#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = ();
    type Steps = ();
}

/// What a client does to send a command.
fn send<S: Service, C, I>(_: &S, _: C)
where
    C: Command + quadrille::__private::AcceptedBy<S::Commands, I>,
{
}

fn main() {
    send(&Payment, Capture { order: "1".into() });
}
