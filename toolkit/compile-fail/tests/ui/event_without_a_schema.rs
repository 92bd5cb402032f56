#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(type = "ORDER_SHIPPED", key = order)]
struct OrderShipped {
    order: String,
}

fn main() {}
