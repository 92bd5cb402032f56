//! The events that cross services, one file for each service that states them.

pub(crate) mod inventory;
pub(crate) mod order;
pub(crate) mod payment;
pub(crate) mod shipping;

use inventory::{OrderPrepared, ProductOutOfStock, StockReleased};
use order::{
    OrderCancellationRequested, OrderCancelled, OrderConcluded, OrderCreated, OrderFailed,
};
use payment::{BilledOrder, PaymentDeclined, PaymentRefunded};
use quadrille::event::EventDescription;
use shipping::{CancellationRefused, OrderDelivered, ShipmentCancelled, ShipmentFailed};

/// Describes every event that crosses services, in the order of the story.
#[must_use]
pub fn public_events() -> Vec<EventDescription> {
    vec![
        EventDescription::of::<OrderCreated>(),
        EventDescription::of::<OrderCancellationRequested>(),
        EventDescription::of::<OrderConcluded>(),
        EventDescription::of::<OrderFailed>(),
        EventDescription::of::<OrderCancelled>(),
        EventDescription::of::<BilledOrder>(),
        EventDescription::of::<PaymentDeclined>(),
        EventDescription::of::<PaymentRefunded>(),
        EventDescription::of::<OrderPrepared>(),
        EventDescription::of::<ProductOutOfStock>(),
        EventDescription::of::<StockReleased>(),
        EventDescription::of::<OrderDelivered>(),
        EventDescription::of::<ShipmentFailed>(),
        EventDescription::of::<ShipmentCancelled>(),
        EventDescription::of::<CancellationRefused>(),
    ]
}
