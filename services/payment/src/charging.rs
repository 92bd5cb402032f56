//! How an order is charged: to an account that this service keeps, or through a payment gateway.
//!
//! Through a gateway, a charge is an effect: requested in a turn, carried out after the commit, and back
//! as an event when the gateway has answered. Until then the step is under way.

use quadrille::prelude::*;
use schemas::{
    AccountId, BilledOrder, Country, DeclineReason, Money, OrderId, OrderLines, PaymentDeclined,
};
use serde::{Deserialize, Serialize};

use crate::Gateway;

/// Who has the money.
#[derive(Clone, Debug, Default)]
#[allow(clippy::large_enum_variant)] // There is one in a process.
pub enum Charging {
    /// This service: each account is an [`Account`](crate::Account).
    #[default]
    Local,
    /// A payment gateway.
    Gateway(Gateway),
}

/// The request to charge an order, with all that its outcome needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "payment.charge_account", effect = AccountCharged, key = order)]
pub struct ChargeAccount {
    /// The order.
    pub order: OrderId,
    /// Which account.
    pub account: AccountId,
    /// How much.
    pub amount: Money,
    /// What was ordered.
    pub lines: OrderLines,
    /// Where it is to go.
    pub destination: Country,
}

/// What the gateway said to a charge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "payment.account_charged", outcome)]
pub struct AccountCharged {
    /// What it was asked.
    pub asked: ChargeAccount,
    /// What it answered.
    pub answer: ChargeAnswer,
}

/// The gateway's answer to a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeAnswer {
    /// The money was taken.
    Approved {
        /// The charge's name at the gateway: what a refund refers to.
        charge: String,
    },
    /// It was not, and will not be.
    Declined {
        /// Why.
        why: DeclineReason,
    },
}

/// The request to give back what an order was charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "payment.refund_account", effect = AccountRefunded, key = order)]
pub struct RefundAccount {
    /// The order.
    pub order: OrderId,
    /// Which account.
    pub account: AccountId,
    /// How much.
    pub amount: Money,
    /// The charge's name at the gateway.
    pub charge: String,
}

/// The gateway has given the money back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "payment.account_refunded", outcome)]
pub struct AccountRefunded {
    /// What it was asked.
    pub asked: RefundAccount,
}

impl ChargeAccount {
    /// The order is paid for.
    pub(crate) fn billed(self) -> BilledOrder {
        let Self { order, account, amount, lines, destination } = self;
        BilledOrder { order, account, amount, lines, destination }
    }

    /// It is not.
    pub(crate) fn declined(self, why: DeclineReason) -> PaymentDeclined {
        PaymentDeclined { order: self.order, account: self.account, why }
    }
}
