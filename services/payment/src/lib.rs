//! Payment charges an order to its customer's account, and gives back what must not be kept.

mod account;
mod http;

pub use account::{
    Account, Balance, Capture, Captured, FundsRefused, FundsSet, NotCaptured, Refund, Refunded,
    SetFunds,
};
pub use http::router;
use quadrille::prelude::*;
use schemas::{
    BilledOrder, OrderCreated, PaymentDeclined, PaymentRefunded, ProductOutOfStock,
    ShipmentCancelled, ShipmentFailed,
};

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = (SetFunds,);
    type Handles = (OrderCreated,);
    type Steps = (Compensatable<BilledOrder>,);
}

#[handler]
impl EventHandler<OrderCreated> for Payment {
    type Emits = (BilledOrder, PaymentDeclined);

    async fn handle(
        &self,
        created: &Incoming<OrderCreated>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let OrderCreated { order, account, total, lines, destination, .. } = (**created).clone();
        let capture = Capture { order: order.clone(), amount: total };
        match turn.execute(&account, capture).await? {
            Ok(()) => {
                turn.record(BilledOrder { order, account, amount: total, lines, destination });
            }
            Err(why) => turn.record(PaymentDeclined { order, account, why }),
        }
        Ok(())
    }
}

#[handler]
impl Undo<BilledOrder> for Payment {
    type Because = (ProductOutOfStock, ShipmentFailed, ShipmentCancelled);
    type Emits = (PaymentRefunded,);

    async fn undo(
        &self,
        billed: &BilledOrder,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let BilledOrder { order, account, amount, .. } = billed.clone();
        let refund = Refund { order: order.clone(), amount };
        turn.execute(&account, refund).await?.map_err(never_captured)?;
        turn.record(PaymentRefunded { order, account, amount });
        Ok(())
    }
}

/// Only a person can say what has become of it.
fn never_captured(NotCaptured: NotCaptured) -> HandlerError {
    HandlerError::terminal("the account never captured what is to be refunded")
}
