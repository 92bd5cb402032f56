//! Inventory keeps an order's products back for it until they are shipped, or puts them on the shelf again.

mod http;
mod stock;

pub use http::router;
use quadrille::prelude::*;
use schemas::{
    BilledOrder, OrderDelivered, OrderPrepared, ProductOutOfStock, ShipmentCancelled,
    ShipmentFailed, StockReleased,
};
use serde::{Deserialize, Serialize};
pub use stock::{
    NotReserved, Release, Released, Reserve, Reserved, STOCK_MAX, SetStock, Ship, Shipped, Short,
    Stock, StockSet, TooMany,
};

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inventory;

impl Service for Inventory {
    const NAME: &'static str = "inventory";
    type Commands = (SetStock,);
    type Handles = (BilledOrder, OrderDelivered);
    type Steps = (Compensatable<OrderPrepared>, Retriable<ReservationShipped>);
}

/// What was reserved for the order has left with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "reservation.shipped", private)]
pub struct ReservationShipped {}

#[handler]
impl EventHandler<BilledOrder> for Inventory {
    type Emits = (OrderPrepared, ProductOutOfStock);

    async fn handle(
        &self,
        billed: &Incoming<BilledOrder>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let BilledOrder { order, lines, destination, .. } = (**billed).clone();
        let reserve = lines.iter().map(|l| (&l.sku, Reserve { quantity: l.quantity }));
        match turn.execute_all(reserve).await? {
            Ok(()) => turn.record(OrderPrepared { order, lines, destination }),
            Err((line, Short { missing })) => {
                let sku = lines[line].sku.clone();
                turn.record(ProductOutOfStock { order, sku, missing });
            }
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<OrderDelivered> for Inventory {
    type Emits = (ReservationShipped,);

    async fn handle(
        &self,
        _: &Incoming<OrderDelivered>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let prepared = turn.recorded::<OrderPrepared>().await?.ok_or_else(never_reserved)?;
        let ship = prepared.lines.iter().map(|l| (&l.sku, Ship { quantity: l.quantity }));
        turn.execute_all(ship).await?.map_err(|(_, NotReserved)| never_reserved())?;
        turn.record(ReservationShipped {});
        Ok(())
    }
}

#[handler]
impl Undo<OrderPrepared> for Inventory {
    type Because = (ShipmentFailed, ShipmentCancelled);
    type Emits = (StockReleased,);

    async fn undo(
        &self,
        prepared: &OrderPrepared,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let OrderPrepared { order, lines, .. } = prepared.clone();
        let release = lines.iter().map(|l| (&l.sku, Release { quantity: l.quantity }));
        turn.execute_all(release).await?.map_err(|(_, NotReserved)| never_reserved())?;
        turn.record(StockReleased { order, lines });
        Ok(())
    }
}

/// Only a person can say what has become of it.
fn never_reserved() -> HandlerError {
    HandlerError::terminal("what is to leave the reservation was never reserved")
}
