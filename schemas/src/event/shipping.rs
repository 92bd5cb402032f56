//! What the shipping service states. It owns the point of no return: `ORDER_DELIVERED` and
//! `SHIPMENT_CANCELLED` exclude each other.

use quadrille::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Country, OrderId};

/// The order is with its customer: no way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_DELIVERED", key = order, source = "shipping")]
pub struct OrderDelivered {
    /// The order.
    pub order: OrderId,
}

/// The order cannot be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SHIPMENT_FAILED", key = order, source = "shipping")]
pub struct ShipmentFailed {
    /// The order.
    pub order: OrderId,
    /// Why.
    pub why: ShipmentFailureReason,
}

/// Why an order cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentFailureReason {
    /// No carrier goes there.
    NotServed {
        /// Where it was to go.
        destination: Country,
    },
}

/// The cancellation came in time: the order is not delivered, and will not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SHIPMENT_CANCELLED", key = order, source = "shipping")]
pub struct ShipmentCancelled {
    /// The order.
    pub order: OrderId,
}

/// The cancellation came too late: the order is delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "CANCELLATION_REFUSED", key = order, source = "shipping")]
pub struct CancellationRefused {
    /// The order.
    pub order: OrderId,
}
