//! One notification: what is to be told, and how each telling went.

use quadrille::{
    id::{EventId, SagaId},
    prelude::*,
    runtime::Timestamp,
};
use schemas::{FailureReason, OrderId};
use serde::{Deserialize, Serialize};

use crate::Answer;

/// A notification. Empty until its order ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    ending: Option<Ending>,
    /// How often its telling was begun.
    tellings: u32,
    finished: Vec<Finished>,
}

/// The end of an order, as the order service stated it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The order.
    pub order: OrderId,
    /// The saga.
    pub saga: SagaId,
    /// The event that said so.
    pub event: EventId,
    /// How it ended.
    pub end: End,
    /// When, by the clock of the order service.
    pub at: Timestamp,
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum End {
    /// Charged and delivered.
    Concluded,
    /// A step was refused.
    Failed {
        /// Which.
        reason: FailureReason,
    },
    /// Its customer cancelled it in time.
    Cancelled,
    /// Its time was over.
    Expired,
}

/// A telling that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Which, from 1.
    pub telling: u32,
    /// The effect that carried it out.
    pub effect: EventId,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last try ended.
    pub at: Timestamp,
    /// How the last try ended.
    pub answer: Answer,
}

/// Where a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being told, or will be tried again.
    Pending,
    /// The merchant's server took it.
    Delivered,
    /// It was tried as often as the schedule says.
    GivenUp,
}

impl Notification {
    /// What is to be told.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// How often its telling was begun: by itself, and each time it was asked for.
    #[must_use]
    pub fn tellings(&self) -> u32 {
        self.tellings
    }

    /// The tellings that have ended, in order.
    #[must_use]
    pub fn finished(&self) -> &[Finished] {
        &self.finished
    }

    /// Where it stands; `None` while its order has not ended.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.ending.as_ref()?;
        Some(match self.finished.last().filter(|last| last.telling == self.tellings) {
            None => State::Pending,
            Some(Finished { answer: Answer::Delivered, .. }) => State::Delivered,
            Some(Finished { answer: Answer::GivenUp { .. }, .. }) => State::GivenUp,
        })
    }
}

impl Aggregate for Notification {
    const NAME: &'static str = "notification";
    type Id = OrderId;
    type Events =
        (NotificationOwed, NotificationAskedFor, NotificationDelivered, NotificationGivenUp);
}

/// An order has ended, and its merchant is to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "notification.owed", private)]
pub struct NotificationOwed {
    /// What is to be told.
    pub ending: Ending,
}

/// Somebody has asked for a notification again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "notification.asked_for", private)]
pub struct NotificationAskedFor {}

/// The merchant was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "notification.delivered", private)]
pub struct NotificationDelivered {
    /// The effect that carried it out.
    pub effect: EventId,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last try ended.
    pub at: Timestamp,
}

/// The merchant was not told, and will not be, unless somebody asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "notification.given_up", private)]
pub struct NotificationGivenUp {
    /// The effect that tried it.
    pub effect: EventId,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last try ended.
    pub at: Timestamp,
    /// How the last try failed.
    pub reason: String,
}

impl Apply<NotificationOwed> for Notification {
    fn apply(&mut self, event: &NotificationOwed) {
        self.ending = Some(event.ending.clone());
        self.tellings = 1;
    }
}

impl Apply<NotificationAskedFor> for Notification {
    fn apply(&mut self, _: &NotificationAskedFor) {
        self.tellings += 1;
    }
}

impl Apply<NotificationDelivered> for Notification {
    fn apply(&mut self, event: &NotificationDelivered) {
        let NotificationDelivered { effect, attempts, at } = *event;
        let (telling, answer) = (self.tellings, Answer::Delivered);
        self.finished.push(Finished { telling, effect, attempts, at, answer });
    }
}

impl Apply<NotificationGivenUp> for Notification {
    fn apply(&mut self, event: &NotificationGivenUp) {
        let NotificationGivenUp { effect, attempts, at, reason } = event.clone();
        let (telling, answer) = (self.tellings, Answer::GivenUp { reason });
        self.finished.push(Finished { telling, effect, attempts, at, answer });
    }
}
