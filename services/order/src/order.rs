//! One order: what was ordered, whether it is to be cancelled, and how it ended.

use std::fmt;

use quadrille::prelude::*;
use schemas::{
    CancellationReason, FailureReason, OrderCancellationRequested, OrderCancelled, OrderConcluded,
    OrderCreated, OrderFailed, OrderId,
};
use serde::{Deserialize, Serialize};

/// An order. Empty until it is placed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    placed: Option<OrderCreated>,
    cancellation: Option<Cancellation>,
    end: Option<End>,
}

/// The wish that the order should end. Only the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cancellation {
    /// Whose wish it was.
    pub reason: CancellationReason,
    /// Shipping has said that it came too late.
    pub refused: bool,
}

/// How an order ended. Nothing changes it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Charged and delivered.
    Concluded,
    /// A step was refused.
    Failed {
        /// Which.
        why: FailureReason,
    },
    /// Cancelled in time.
    Cancelled {
        /// Whose wish it was.
        reason: CancellationReason,
    },
}

/// Where an order stands, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Placed, and on its way.
    Pending,
    /// On its way, and someone wants it to end.
    CancellationRequested,
    /// An end: charged and delivered.
    Concluded,
    /// An end: a step was refused.
    Failed,
    /// An end: its customer cancelled it in time.
    Cancelled,
    /// An end: its time was over.
    Expired,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::CancellationRequested => "pending, with a cancellation asked for",
            Self::Concluded => "concluded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        })
    }
}

impl Order {
    /// What was placed.
    #[must_use]
    pub fn placed(&self) -> Option<&OrderCreated> {
        self.placed.as_ref()
    }

    /// The first wish that it should end.
    #[must_use]
    pub fn cancellation(&self) -> Option<Cancellation> {
        self.cancellation
    }

    /// How it ended.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Where it stands; `None` when nobody placed it.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.placed.as_ref()?;
        Some(match (self.end, self.cancellation) {
            (Some(End::Concluded), _) => Status::Concluded,
            (Some(End::Failed { .. }), _) => Status::Failed,
            (Some(End::Cancelled { reason: CancellationReason::Customer }), _) => Status::Cancelled,
            (Some(End::Cancelled { reason: CancellationReason::Expired }), _) => Status::Expired,
            (None, Some(_)) => Status::CancellationRequested,
            (None, None) => Status::Pending,
        })
    }

    /// What was placed, while it has no end.
    pub(crate) fn open(&self) -> Option<&OrderCreated> {
        self.placed.as_ref().filter(|_| self.end.is_none())
    }
}

impl Aggregate for Order {
    const NAME: &'static str = "order";
    type Id = OrderId;
    type Events = (
        OrderCreated,
        OrderCancellationRequested,
        CancellationWasRefused,
        OrderConcluded,
        OrderFailed,
        OrderCancelled,
    );
}

/// The order should have ended by now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "order.time_is_up", deadline, key = order)]
pub struct TimeIsUp {
    /// Which.
    pub order: OrderId,
}

/// The wish came too late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "order.cancellation_was_refused", private)]
pub struct CancellationWasRefused {}

impl Apply<OrderCreated> for Order {
    fn apply(&mut self, event: &OrderCreated) {
        self.placed = Some(event.clone());
    }
}

impl Apply<OrderCancellationRequested> for Order {
    fn apply(&mut self, event: &OrderCancellationRequested) {
        self.cancellation = Some(Cancellation { reason: event.reason, refused: false });
    }
}

impl Apply<CancellationWasRefused> for Order {
    fn apply(&mut self, _: &CancellationWasRefused) {
        self.cancellation = self.cancellation.map(|c| Cancellation { refused: true, ..c });
    }
}

impl Apply<OrderConcluded> for Order {
    fn apply(&mut self, _: &OrderConcluded) {
        self.end = Some(End::Concluded);
    }
}

impl Apply<OrderFailed> for Order {
    fn apply(&mut self, event: &OrderFailed) {
        self.end = Some(End::Failed { why: event.why });
    }
}

impl Apply<OrderCancelled> for Order {
    fn apply(&mut self, event: &OrderCancelled) {
        self.end = Some(End::Cancelled { reason: event.reason });
    }
}
