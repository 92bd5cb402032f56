//! Shipping delivers an order, and owns the point of no return: only it can say whether a cancellation
//! came in time.

mod http;

use std::collections::BTreeSet;

pub use http::router;
use quadrille::prelude::*;
use schemas::{
    CancellationRefused, Country, OrderCancellationRequested, OrderDelivered, OrderPrepared,
    ShipmentCancelled, ShipmentFailed, ShipmentFailureReason,
};

/// Where no carrier goes, unless told otherwise: Antarctica and Bouvet Island.
pub const NOT_SERVED: [&str; 2] = ["AQ", "BV"];

/// The service.
#[derive(Clone, Debug)]
pub struct Shipping {
    not_served: BTreeSet<Country>,
}

impl Shipping {
    /// Delivers everywhere but there.
    pub fn everywhere_but(not_served: impl IntoIterator<Item = Country>) -> Self {
        Self { not_served: not_served.into_iter().collect() }
    }
}

impl Default for Shipping {
    fn default() -> Self {
        Self::everywhere_but(NOT_SERVED.iter().filter_map(|code| code.parse().ok()))
    }
}

impl Service for Shipping {
    const NAME: &'static str = "shipping";
    type Commands = ();
    type Handles = (OrderPrepared, OrderCancellationRequested);
    type Steps = (Pivot<OrderDelivered>,);
}

#[handler]
impl EventHandler<OrderPrepared> for Shipping {
    type Emits = (OrderDelivered, ShipmentFailed);

    async fn handle(
        &self,
        prepared: &Incoming<OrderPrepared>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let (order, destination) = (prepared.order.clone(), prepared.destination);
        if self.not_served.contains(&destination) {
            let why = ShipmentFailureReason::NotServed { destination };
            turn.record(ShipmentFailed { order, why });
        } else {
            turn.record(OrderDelivered { order });
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<OrderCancellationRequested> for Shipping {
    type Emits = (ShipmentCancelled, CancellationRefused);

    async fn handle(
        &self,
        requested: &Incoming<OrderCancellationRequested>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let order = requested.order.clone();
        match turn.forestall::<OrderDelivered>().await? {
            Forestall::InTime => turn.record(ShipmentCancelled { order }),
            Forestall::TooLate => turn.record(CancellationRefused { order }),
            Forestall::Already => {}
        }
        Ok(())
    }
}
