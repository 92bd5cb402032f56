//! What is asked of the gateway, and what it answers.

use serde::{Deserialize, Serialize};

/// The largest amount, in minor units: what every JSON reader keeps exactly (2⁵³ − 1).
pub const MINOR_MAX: u64 = (1 << 53) - 1;

/// An amount of one currency, in its minor units (cents).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// From 0 to [`MINOR_MAX`].
    pub minor: u64,
    /// Three capital letters.
    pub currency: String,
}

impl Amount {
    pub(crate) fn is_money(&self) -> bool {
        let letters = self.currency.bytes().all(|b| b.is_ascii_uppercase());
        self.minor <= MINOR_MAX && self.currency.len() == 3 && letters
    }
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// What can be charged.
    pub funds: Amount,
    /// All that was ever charged, in minor units.
    pub charged: u64,
    /// All that was ever refunded, in minor units.
    pub refunded: u64,
}

/// Take an amount from an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeRequest {
    /// From which.
    pub account: String,
    /// How much.
    pub amount: Amount,
    /// The merchant's own word for it, such as an order's id.
    pub reference: String,
}

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ChargeAnswer {
    /// The money was taken.
    Approved,
    /// It was not.
    Declined {
        /// Why.
        reason: Decline,
    },
    /// A void came first.
    Voided,
}

/// Why a charge is declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decline {
    /// Nobody has opened the account.
    UnknownAccount,
    /// The account is in another currency.
    OtherCurrency,
    /// The account has less.
    NotEnoughFunds {
        /// What is lacking, in minor units.
        missing: u64,
    },
    /// The account has been charged all that it can count.
    AccountFull,
}

/// A charge, as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What was asked; nothing when a void came first and the charge has not come yet.
    pub request: Option<ChargeRequest>,
    /// What was answered.
    #[serde(flatten)]
    pub answer: ChargeAnswer,
    /// What was given back of it, in minor units.
    pub refunded: u64,
}

/// Give back what was charged, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// The key of the charge.
    pub charge: String,
    /// How much.
    pub amount: Amount,
}

/// What became of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RefundAnswer {
    /// The money is back.
    Refunded,
    /// It is not.
    Refused {
        /// Why.
        reason: RefundRefusal,
    },
}

/// Why a refund is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundRefusal {
    /// There is no such charge, or it took nothing.
    NeverCharged,
    /// The charge was in another currency.
    OtherCurrency,
    /// More than what is left of the charge.
    MoreThanCharged,
}

/// A refund, as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What was asked.
    pub request: RefundRequest,
    /// What was answered.
    #[serde(flatten)]
    pub answer: RefundAnswer,
}

/// What became of a void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum VoidAnswer {
    /// The charge will take nothing, whenever it comes.
    Voided,
    /// The charge has been answered already: ask for it, and refund it if it was approved.
    TooLate,
}
