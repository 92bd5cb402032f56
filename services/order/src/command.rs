//! What can be asked of an order. Customers place and cancel; the rest follows from what the other
//! services state, and has no refusal: every state has an answer.

use std::time::Duration;

use quadrille::prelude::*;
use schemas::{
    AccountId, CancellationReason, Country, CustomerId, FailureReason, OrderCancellationRequested,
    OrderCancelled, OrderConcluded, OrderCreated, OrderFailed, OrderId, OrderLines,
};
use serde::{Deserialize, Serialize};

use crate::order::{CancellationWasRefused, End, Order, Status, TimeIsUp};

/// How long an order has to end, unless told otherwise.
pub const FINISH_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Places an order. Placing the very same order again changes nothing and is no refusal, so that a
/// customer whose connection broke can simply ask again.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceOrder {
    /// The order.
    pub order: OrderId,
    /// Who places it.
    pub customer: CustomerId,
    /// What it is charged to.
    pub account: AccountId,
    /// What is ordered.
    pub lines: OrderLines,
    /// Where it is to go.
    pub destination: Country,
    /// How long it has to end; then its cancellation is asked for. Counts when it is placed first.
    pub finish_within: Duration,
}

/// Why an order cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaceRefused {
    /// There is an order of that id, and it is another one.
    IdTaken,
}

impl Command for PlaceOrder {
    type Aggregate = Order;
    type Emits = (OrderCreated, TimeIsUp);
    type Refusal = PlaceRefused;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), PlaceRefused> {
        let Self { order, customer, account, lines, destination, finish_within } = self;
        let total = lines.total();
        let created = OrderCreated { order, customer, account, lines, total, destination };
        match known.placed() {
            None => {
                known.set_deadline(TimeIsUp { order: created.order.clone() }, finish_within);
                known.record(created);
                Ok(())
            }
            Some(placed) if *placed == created => Ok(()),
            Some(_) => Err(PlaceRefused::IdTaken),
        }
    }
}

/// Asks for an order to end. Whether it comes in time is for shipping to say.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelOrder {
    /// Whose wish it is.
    pub reason: CancellationReason,
}

/// Why an order cannot be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelRefused {
    /// Nobody placed it.
    UnknownOrder,
    /// It has ended otherwise.
    Ended(Status),
}

impl Command for CancelOrder {
    type Aggregate = Order;
    type Emits = (OrderCancellationRequested,);
    type Refusal = CancelRefused;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), CancelRefused> {
        let Self { reason } = self;
        let Some(placed) = known.placed() else { return Err(CancelRefused::UnknownOrder) };
        match (known.end(), known.status()) {
            (Some(End::Cancelled { reason: then }), _) if then == reason => Ok(()),
            (Some(_), Some(status)) => Err(CancelRefused::Ended(status)),
            _ if known.cancellation().is_some() => Ok(()),
            _ => {
                let order = placed.order.clone();
                known.record(OrderCancellationRequested { order, reason });
                Ok(())
            }
        }
    }
}

/// The order is delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclude;

impl Command for Conclude {
    type Aggregate = Order;
    type Emits = (OrderConcluded,);
    type Refusal = NoRefusal;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if let Some(OrderCreated { order, customer, total, .. }) = known.open().cloned() {
            known.clear_deadline::<TimeIsUp>(&order);
            known.record(OrderConcluded { order, customer, total });
        }
        Ok(())
    }
}

/// A step of the order was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Fail {
    /// Which.
    pub why: FailureReason,
}

impl Command for Fail {
    type Aggregate = Order;
    type Emits = (OrderFailed,);
    type Refusal = NoRefusal;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if let Some(OrderCreated { order, .. }) = known.open().cloned() {
            known.clear_deadline::<TimeIsUp>(&order);
            known.record(OrderFailed { order, why: self.why });
        }
        Ok(())
    }
}

/// The cancellation came in time.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmCancellation;

impl Command for ConfirmCancellation {
    type Aggregate = Order;
    type Emits = (OrderCancelled,);
    type Refusal = NoRefusal;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        let reason = known.cancellation().map_or(CancellationReason::Customer, |c| c.reason);
        if let Some(OrderCreated { order, .. }) = known.open().cloned() {
            known.clear_deadline::<TimeIsUp>(&order);
            known.record(OrderCancelled { order, reason });
        }
        Ok(())
    }
}

/// The cancellation came too late. The order ends as it would have; its customer can see why.
#[derive(Clone, Debug, PartialEq)]
pub struct RefuseCancellation;

impl Command for RefuseCancellation {
    type Aggregate = Order;
    type Emits = (CancellationWasRefused,);
    type Refusal = NoRefusal;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if known.cancellation().is_some_and(|c| !c.refused) {
            known.record(CancellationWasRefused {});
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
