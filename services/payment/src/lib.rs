//! Payment charges an order to its customer's account, and gives back what must not be kept.
//!
//! The accounts are its own, or a payment gateway's: see [`Charging`]. Either way a charge is one step,
//! `BILLED_ORDER`, that is undone by one compensation.

mod account;
mod charging;
#[cfg(feature = "process")]
mod configuration;
mod gateway;
mod http;

pub use account::{
    Account, Balance, Capture, Captured, FundsRefused, FundsSet, NotCaptured, Refund, Refunded,
    SetFunds,
};
pub use charging::{
    AccountCharged, AccountRefunded, ChargeAccount, ChargeAnswer, Charging, RefundAccount,
};
#[cfg(feature = "process")]
pub use configuration::run;
use gateway::NoGateway;
pub use gateway::{Gateway, NotAGateway};
pub use http::{router, router_for};
use quadrille::{effect::Performers, handler::Role, prelude::*};
use schemas::{
    BilledOrder, OrderCreated, PaymentDeclined, PaymentRefunded, ProductOutOfStock,
    ShipmentCancelled, ShipmentFailed,
};

/// The service.
#[derive(Clone, Debug, Default)]
pub struct Payment {
    /// Who has the money.
    pub charging: Charging,
}

impl Payment {
    /// Charges through a gateway.
    #[must_use]
    pub fn through(gateway: Gateway) -> Self {
        Self { charging: Charging::Gateway(gateway) }
    }
}

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = (SetFunds,);
    type Handles = (OrderCreated, AccountCharged, AccountRefunded);
    type Steps = (Compensatable<BilledOrder>,);

    fn performers(&self) -> Performers {
        match &self.charging {
            Charging::Gateway(gateway) => Performers::new()
                .with::<ChargeAccount>(gateway.clone())
                .with::<RefundAccount>(gateway.clone()),
            Charging::Local => {
                Performers::new().with::<ChargeAccount>(NoGateway).with::<RefundAccount>(NoGateway)
            }
        }
    }
}

#[handler]
impl EventHandler<OrderCreated> for Payment {
    type Emits = (BilledOrder, PaymentDeclined, ChargeAccount);

    async fn handle(
        &self,
        created: &Incoming<OrderCreated>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let OrderCreated { order, account, total, lines, destination, .. } = (**created).clone();
        let charge = ChargeAccount { order, account, amount: total, lines, destination };
        match self.charging {
            Charging::Local => {
                let capture = Capture { order: charge.order.clone(), amount: total };
                match turn.execute(&charge.account, capture).await? {
                    Ok(()) => turn.record(charge.billed()),
                    Err(why) => turn.record(charge.declined(why)),
                }
            }
            Charging::Gateway(_) => {
                turn.begin::<BilledOrder, _>();
                turn.request(charge);
            }
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<AccountCharged> for Payment {
    type Emits = (BilledOrder, PaymentDeclined);
    const ROLE: Role = Role::Outcome;

    async fn handle(
        &self,
        charged: &Incoming<AccountCharged>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let AccountCharged { asked, answer } = (**charged).clone();
        match answer {
            ChargeAnswer::Approved { .. } => turn.record(asked.billed()),
            ChargeAnswer::Declined { why } => turn.record(asked.declined(why)),
        }
        Ok(())
    }
}

#[handler]
impl Undo<BilledOrder> for Payment {
    type Because = (ProductOutOfStock, ShipmentFailed, ShipmentCancelled);
    type Emits = (PaymentRefunded, RefundAccount);

    async fn undo(
        &self,
        billed: &BilledOrder,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let BilledOrder { order, account, amount, .. } = billed.clone();
        // Whoever took the money gives it back, whatever is configured by now.
        let charged = turn.recorded::<AccountCharged>().await?.map(|charged| charged.answer);
        if let Some(ChargeAnswer::Approved { charge }) = charged {
            turn.request(RefundAccount { order, account, amount, charge });
        } else {
            let refund = Refund { order: order.clone(), amount };
            turn.execute(&account, refund).await?.map_err(never_captured)?;
            turn.record(PaymentRefunded { order, account, amount });
        }
        Ok(())
    }
}

/// Only a person can say what has become of it.
fn never_captured(NotCaptured: NotCaptured) -> HandlerError {
    HandlerError::terminal("the account never captured what is to be refunded")
}

#[handler]
impl EventHandler<AccountRefunded> for Payment {
    type Emits = (PaymentRefunded,);

    async fn handle(
        &self,
        refunded: &Incoming<AccountRefunded>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let RefundAccount { order, account, amount, .. } = refunded.asked.clone();
        turn.record(PaymentRefunded { order, account, amount });
        Ok(())
    }
}
