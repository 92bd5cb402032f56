//! What the order service states. An order ends with exactly one of `ORDER_CONCLUDED`, `ORDER_FAILED`
//! and `ORDER_CANCELLED`; the reason in the last tells a cancelled order from an expired one.

use quadrille::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Country, CustomerId, Money, OrderId, OrderLines};

/// A customer has placed an order. It is pending now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_CREATED", key = order, source = "order")]
pub struct OrderCreated {
    /// The order.
    pub order: OrderId,
    /// Who placed it.
    pub customer: CustomerId,
    /// What it is charged to.
    pub account: AccountId,
    /// What was ordered.
    pub lines: OrderLines,
    /// What it costs.
    pub total: Money,
    /// Where it is to go.
    pub destination: Country,
}

/// Someone wants the order to end. Whether it is in time is for shipping to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_CANCELLATION_REQUESTED", key = order, source = "order")]
pub struct OrderCancellationRequested {
    /// The order.
    pub order: OrderId,
    /// Who wants it.
    pub reason: CancellationReason,
}

/// Why an order is to end before it is delivered. The first request's reason stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancellationReason {
    /// The customer has asked for it: the order ends cancelled.
    Customer,
    /// Its time is over: the order ends expired.
    Expired,
}

/// An end: charged once, shipped once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_CONCLUDED", key = order, source = "order")]
pub struct OrderConcluded {
    /// The order.
    pub order: OrderId,
    /// Who placed it.
    pub customer: CustomerId,
    /// What it cost.
    pub total: Money,
}

/// An end: a step of the order was refused, and those before it are undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_FAILED", key = order, source = "order")]
pub struct OrderFailed {
    /// The order.
    pub order: OrderId,
    /// Which step was refused.
    pub why: FailureReason,
}

/// Which refusal an order failed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// Payment was declined.
    PaymentDeclined,
    /// A product is out of stock.
    OutOfStock,
    /// The order cannot be delivered.
    NotDeliverable,
}

/// An end: the cancellation came in time. By `customer` the order is cancelled, by `expired` it is
/// expired: one event for both, since for the others it is one outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_CANCELLED", key = order, source = "order")]
pub struct OrderCancelled {
    /// The order.
    pub order: OrderId,
    /// The first request's reason.
    pub reason: CancellationReason,
}
