#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = OrderCreated;
    type Steps = ();
}

fn main() {}
