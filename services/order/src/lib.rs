//! Order takes what customers want, and knows how each order ended.
//!
//! Ends are concluded, failed, cancelled and expired; an expired order ends with `ORDER_CANCELLED` too,
//! whose reason tells. A failure ends the order in every state that is not an end, also while a
//! cancellation is asked for, and an end absorbs whatever comes later.

mod command;
mod http;
mod order;

pub use command::{
    CancelOrder, CancelRefused, Conclude, ConfirmCancellation, Fail, PlaceOrder, PlaceRefused,
    RefuseCancellation,
};
pub use http::router;
pub use order::{Cancellation, CancellationWasRefused, End, Order, Status};
use quadrille::prelude::*;
use schemas::{
    CancellationRefused, FailureReason, OrderCancelled, OrderConcluded, OrderDelivered,
    OrderFailed, PaymentDeclined, ProductOutOfStock, ShipmentCancelled, ShipmentFailed,
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
    );
    type Steps = (Retriable<OrderConcluded>,);
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
