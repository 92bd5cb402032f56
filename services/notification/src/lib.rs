//! Notification tells the merchant how each order ended, as well as it can.
//!
//! One signed webhook an order, tried again on a schedule until the merchant's server takes it, and given up
//! after that. Nothing waits for it: this service states nothing publicly, so no saga can depend on it.
//! Whoever missed one asks for it again. `docs/notification.md` is for those who receive them.

mod command;
#[cfg(feature = "process")]
mod configuration;
mod history;
mod http;
mod merchant;
mod notification;
mod telling;

pub use command::{AGAIN_MAX, AgainRefused, Finish, Owe, TellAgain};
#[cfg(feature = "process")]
pub use configuration::run;
pub use history::{History, Try, TryResult};
pub use http::router;
pub use merchant::{ATTEMPT_TIMEOUT, Merchant};
pub use notification::{
    End, Ending, Finished, Notification, NotificationAskedFor, NotificationDelivered,
    NotificationGivenUp, NotificationOwed, State,
};
use quadrille::{effect::Performers, prelude::*};
use schemas::{CancellationReason, OrderCancelled, OrderConcluded, OrderFailed, OrderId};
pub use telling::{Answer, TellMerchant, TellingEnded};

/// The service.
#[derive(Clone, Debug)]
pub struct Notifications {
    /// Who is told.
    pub merchant: Merchant,
}

impl Service for Notifications {
    const NAME: &'static str = "notification";
    type Commands = (TellAgain,);
    type Handles = (OrderConcluded, OrderFailed, OrderCancelled, TellingEnded);
    type Steps = ();

    fn performers(&self) -> Performers {
        Performers::new().with::<TellMerchant>(self.merchant.clone())
    }
}

#[handler]
impl EventHandler<OrderConcluded> for Notifications {
    type Emits = (NotificationOwed, TellMerchant);

    async fn handle(
        &self,
        concluded: &Incoming<OrderConcluded>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        owe(concluded, &concluded.order, End::Concluded, turn).await
    }
}

#[handler]
impl EventHandler<OrderFailed> for Notifications {
    type Emits = (NotificationOwed, TellMerchant);

    async fn handle(
        &self,
        failed: &Incoming<OrderFailed>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        owe(failed, &failed.order, End::Failed { reason: failed.why }, turn).await
    }
}

#[handler]
impl EventHandler<OrderCancelled> for Notifications {
    type Emits = (NotificationOwed, TellMerchant);

    async fn handle(
        &self,
        cancelled: &Incoming<OrderCancelled>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let end = match cancelled.reason {
            CancellationReason::Customer => End::Cancelled,
            CancellationReason::Expired => End::Expired,
        };
        owe(cancelled, &cancelled.order, end, turn).await
    }
}

/// The end of an order is to be told, once.
async fn owe<E>(
    event: &Incoming<E>,
    order: &OrderId,
    end: End,
    turn: &mut Turn<'_, (NotificationOwed, TellMerchant)>,
) -> Result<(), HandlerError> {
    let (event, at) = (event.origin().id, event.origin().time);
    let ending = Ending { order: order.clone(), saga: turn.saga(), event, end, at };
    let Ok(()) = turn.execute(order, Owe { ending }).await?;
    Ok(())
}

#[handler]
impl EventHandler<TellingEnded> for Notifications {
    type Emits = (NotificationDelivered, NotificationGivenUp);

    async fn handle(
        &self,
        ended: &Incoming<TellingEnded>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let TellingEnded { order, telling, attempts, at, answer } = (**ended).clone();
        let finish = Finish { effect: ended.origin().id, telling, attempts, at, answer };
        let Ok(()) = turn.execute(&order, finish).await?;
        Ok(())
    }
}
