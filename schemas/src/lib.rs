//! The words that the services share: the events that cross between them, and what these are made of.
//!
//! Rust is the source. The JSON Schemas under `schemas/json` are generated from it, one an event, and
//! a test holds them current; `UPDATE_SCHEMAS=1 cargo test -p schemas` writes them anew.
//!
//! Every event is keyed by its order, so that one order's events keep their order. Each carries what the
//! next service needs to act without asking anyone. Values are checked where they enter: an id that an
//! event carries has been an id since it was read. Fields that a reader does not know are skipped, so that
//! an event can grow while older readers run.

mod code;
mod event;
mod id;
mod lines;
mod money;

pub use code::{Country, Currency, InvalidCode};
pub use event::{
    inventory::{OrderPrepared, ProductOutOfStock, StockReleased},
    order::{
        CancellationReason, FailureReason, OrderCancellationRequested, OrderCancelled,
        OrderConcluded, OrderCreated, OrderFailed,
    },
    payment::{BilledOrder, DeclineReason, PaymentDeclined, PaymentRefunded},
    public_events,
    shipping::{
        CancellationRefused, OrderDelivered, ShipmentCancelled, ShipmentFailed,
        ShipmentFailureReason,
    },
};
pub use id::{AccountId, CustomerId, ID_CHARS_MAX, InvalidId, OrderId, Sku};
pub use lines::{InvalidLines, LINES_MAX, OrderLine, OrderLines};
pub use money::{InvalidMoney, MINOR_MAX, Money, MoneyError};
