//! Order takes what customers want, and knows how each order ended.
//!
//! Ends are concluded, failed, cancelled and expired; an expired order ends with `ORDER_CANCELLED` too,
//! whose reason tells. A failure ends the order in every state that is not an end, also while a
//! cancellation is asked for, and an end absorbs whatever comes later.
//!
//! An order has a time to end in. When that is over, its cancellation is asked for, as its customer would:
//! shipping says whether that comes in time.

mod command;
#[cfg(feature = "process")]
mod configuration;
mod http;
mod order;

pub use command::{
    CancelOrder, CancelRefused, Conclude, ConfirmCancellation, FINISH_WITHIN, Fail, PlaceOrder,
    PlaceRefused, RefuseCancellation,
};
#[cfg(feature = "process")]
pub use configuration::run;
pub use http::{router, router_with};
pub use order::{Cancellation, CancellationWasRefused, End, Order, Status, TimeIsUp};
use quadrille::prelude::*;
use schemas::{
    CancellationReason, CancellationRefused, FailureReason, OrderCancellationRequested,
    OrderCancelled, OrderConcluded, OrderDelivered, OrderFailed, PaymentDeclined,
    ProductOutOfStock, ShipmentCancelled, ShipmentFailed,
};

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders;

impl Service for Orders {
    const NAME: &'static str = "order";
    type Commands = (PlaceOrder, CancelOrder);
    type Handles = (
        PaymentDeclined,
        ProductOutOfStock,
        ShipmentFailed,
        OrderDelivered,
        ShipmentCancelled,
        CancellationRefused,
        TimeIsUp,
    );
    type Steps = (Retriable<OrderConcluded>,);
}

#[handler]
impl EventHandler<TimeIsUp> for Orders {
    type Emits = (OrderCancellationRequested,);

    async fn handle(
        &self,
        up: &Incoming<TimeIsUp>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let cancel = CancelOrder { reason: CancellationReason::Expired };
        match turn.execute(&up.order, cancel).await? {
            // It has ended in this moment, or somebody has asked for it already.
            Ok(()) | Err(CancelRefused::Ended(_)) => Ok(()),
            Err(CancelRefused::UnknownOrder) => {
                Err(HandlerError::terminal("the deadline of an order that nobody placed"))
            }
        }
    }
}

#[handler]
impl EventHandler<PaymentDeclined> for Orders {
    type Emits = (OrderFailed,);

    async fn handle(
        &self,
        declined: &Incoming<PaymentDeclined>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let fail = Fail { why: FailureReason::PaymentDeclined };
        let Ok(()) = turn.execute(&declined.order, fail).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<ProductOutOfStock> for Orders {
    type Emits = (OrderFailed,);

    async fn handle(
        &self,
        out: &Incoming<ProductOutOfStock>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let fail = Fail { why: FailureReason::OutOfStock };
        let Ok(()) = turn.execute(&out.order, fail).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<ShipmentFailed> for Orders {
    type Emits = (OrderFailed,);

    async fn handle(
        &self,
        failed: &Incoming<ShipmentFailed>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let fail = Fail { why: FailureReason::NotDeliverable };
        let Ok(()) = turn.execute(&failed.order, fail).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<OrderDelivered> for Orders {
    type Emits = (OrderConcluded,);

    async fn handle(
        &self,
        delivered: &Incoming<OrderDelivered>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let Ok(()) = turn.execute(&delivered.order, Conclude).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<ShipmentCancelled> for Orders {
    type Emits = (OrderCancelled,);

    async fn handle(
        &self,
        cancelled: &Incoming<ShipmentCancelled>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let Ok(()) = turn.execute(&cancelled.order, ConfirmCancellation).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<CancellationRefused> for Orders {
    type Emits = ();

    async fn handle(
        &self,
        refused: &Incoming<CancellationRefused>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let Ok(()) = turn.execute(&refused.order, RefuseCancellation).await?;
        Ok(())
    }
}
