//! Sums over the books.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    books::Books,
    entries::{ChargeAnswer, RefundAnswer},
    trouble::Made,
};

/// Sums of one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// What all accounts have.
    pub funds: u64,
    /// What was ever charged.
    pub charged: u64,
    /// What was ever refunded.
    pub refunded: u64,
}

/// All that was ever done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// By currency.
    pub money: BTreeMap<String, Sums>,
    /// Charges that took money.
    pub charges_approved: u64,
    /// Charges that did not.
    pub charges_declined: u64,
    /// Charges that a void stopped.
    pub charges_voided: u64,
    /// References that were charged more than once and not refunded: the merchant's mistake.
    pub references_charged_twice: u64,
    /// Refunds that gave money back.
    pub refunds_made: u64,
    /// Refunds that did not.
    pub refunds_refused: u64,
    /// Requests that were answered from the table of keys.
    pub replayed: u64,
    /// The trouble that was made.
    pub trouble: Made,
}

impl Totals {
    pub(crate) fn of(books: &Books, replayed: u64, trouble: Made) -> Self {
        let mut totals = Self { replayed, trouble, ..Self::default() };
        for balance in books.accounts() {
            let sums = totals.money.entry(balance.funds.currency.clone()).or_default();
            sums.funds += balance.funds.minor;
            sums.charged += balance.charged;
            sums.refunded += balance.refunded;
        }
        let mut standing: BTreeMap<&str, u64> = BTreeMap::new();
        for charge in books.charges() {
            match (&charge.answer, &charge.request) {
                (ChargeAnswer::Approved, Some(request)) => {
                    totals.charges_approved += 1;
                    if charge.refunded < request.amount.minor {
                        *standing.entry(&request.reference).or_default() += 1;
                    }
                }
                (ChargeAnswer::Declined { .. }, _) => totals.charges_declined += 1,
                _ => totals.charges_voided += 1,
            }
        }
        totals.references_charged_twice =
            standing.values().filter(|times| **times > 1).count() as u64;
        for refund in books.refunds() {
            match refund.answer {
                RefundAnswer::Refunded => totals.refunds_made += 1,
                RefundAnswer::Refused { .. } => totals.refunds_refused += 1,
            }
        }
        totals
    }
}
