//! Small services to read and copy: run one with `cargo run --example NAME`.

pub mod points;

use std::fmt;

use quadrille::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderId(pub String);

/// Whose order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomerId(pub String);

/// An amount in minor units, such as cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    minor: u64,
}

impl Money {
    /// How many of them.
    #[must_use]
    pub fn minor(self) -> u64 {
        self.minor
    }
}

/// An order was billed, shipped and delivered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_CONCLUDED", key = order, source = "order")]
pub struct OrderConcluded {
    /// Which one.
    pub order: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// What it came to.
    pub total: Money,
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
