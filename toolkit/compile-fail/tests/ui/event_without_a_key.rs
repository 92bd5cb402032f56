#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_SHIPPED")]
struct OrderShipped {
    order: String,
}

fn main() {}
