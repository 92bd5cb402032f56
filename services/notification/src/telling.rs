//! Telling the merchant: the request, and what came of it.

use quadrille::{id::EventId, prelude::*, runtime::Timestamp};
use schemas::OrderId;
use serde::{Deserialize, Serialize};

use crate::{End, Ending};

/// The request to tell the merchant how an order ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "notification.tell_merchant", effect = TellingEnded, key = order)]
pub struct TellMerchant {
    /// The order.
    pub order: OrderId,
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub at: Timestamp,
    /// What the merchant knows the notification by, at every try and every time it is asked for again: the id
    /// of the event that ended the order.
    pub webhook: EventId,
    /// The how-manieth telling of this end, from 1: the second is the first that was asked for.
    pub telling: u32,
}

impl TellMerchant {
    pub(crate) fn of(ending: &Ending, telling: u32) -> Self {
        let Ending { order, event, end, at, .. } = ending.clone();
        Self { order, end, at, webhook: event, telling }
    }
}

/// A telling has ended, one way or the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "notification.telling_ended", outcome)]
pub struct TellingEnded {
    /// The order.
    pub order: OrderId,
    /// Which telling of its end, from 1.
    pub telling: u32,
    /// How often it was tried, the last time included.
    pub attempts: u32,
    /// When the last try ended, by the clock of this service.
    pub at: Timestamp,
    /// How the last try ended.
    pub answer: Answer,
}

/// How a telling ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The merchant's server took it: a 2xx.
    Delivered,
    /// It will not be tried again by itself.
    GivenUp {
        /// How the last try failed.
        reason: String,
    },
}
