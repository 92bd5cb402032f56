//! What the payment service states.

use quadrille::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Country, Money, OrderId, OrderLines};

/// The order is paid for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "BILLED_ORDER", key = order, source = "payment")]
pub struct BilledOrder {
    /// The order.
    pub order: OrderId,
    /// The account that was charged.
    pub account: AccountId,
    /// What was captured from it.
    pub amount: Money,
    /// What is to be reserved.
    pub lines: OrderLines,
    /// Where it is to go.
    pub destination: Country,
}

/// The account cannot pay for the order; nothing was captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAYMENT_DECLINED", key = order, source = "payment")]
pub struct PaymentDeclined {
    /// The order.
    pub order: OrderId,
    /// The account that was to be charged.
    pub account: AccountId,
    /// Why it was not.
    pub why: DeclineReason,
}

/// Why an account does not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// Nobody has opened the account.
    UnknownAccount,
    /// The account is in another currency.
    OtherCurrency,
    /// The account has less than is to be captured.
    NotEnoughFunds {
        /// What is lacking.
        missing: Money,
    },
    /// The account has captured all that it can count.
    AccountFull,
    /// The charge was called off before it was made, at the payment gateway.
    Voided,
}

/// What was captured for the order is back on the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAYMENT_REFUNDED", key = order, source = "payment")]
pub struct PaymentRefunded {
    /// The order.
    pub order: OrderId,
    /// The account.
    pub account: AccountId,
    /// What it got back.
    pub amount: Money,
}
