//! What the inventory service states.

use quadrille::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Country, OrderId, OrderLines, Sku};

/// All lines of the order are reserved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_PREPARED", key = order, source = "inventory")]
pub struct OrderPrepared {
    /// The order.
    pub order: OrderId,
    /// What is reserved for it.
    pub lines: OrderLines,
    /// Where it is to go.
    pub destination: Country,
}

/// A line of the order cannot be reserved, and so none is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PRODUCT_OUT_OF_STOCK", key = order, source = "inventory")]
pub struct ProductOutOfStock {
    /// The order.
    pub order: OrderId,
    /// The first product that is short.
    pub sku: Sku,
    /// How many of it are lacking for that line.
    pub missing: u64,
}

/// What was reserved for the order is available again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "STOCK_RELEASED", key = order, source = "inventory")]
pub struct StockReleased {
    /// The order.
    pub order: OrderId,
    /// What was released.
    pub lines: OrderLines,
}
