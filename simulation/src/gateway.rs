//! A payment gateway outside: accounts, charges and refunds under the keys of their requests, and a query.

use std::{collections::BTreeMap, time::Duration};

use payment::{AccountCharged, AccountRefunded, ChargeAccount, ChargeAnswer, RefundAccount};
use quadrille::{
    effect::{Asked, Call, EffectError, EffectPolicy, Performers, Schedule},
    engine::RetryPolicy,
    prelude::Performer,
    testing::simulation::{Outside, Place},
};
use schemas::{DeclineReason, Money};

use crate::story::{accounts, funds_of, money};

/// The gateway's own books.
#[derive(Clone, Debug)]
pub struct Books {
    /// By account: what it can still pay, in minor units.
    pub funds: BTreeMap<String, u64>,
    /// By the key of its request, what became of a charge.
    pub charges: BTreeMap<String, Charge>,
    /// By the key of its request, which charge a refund gave back.
    pub refunds: BTreeMap<String, String>,
    /// Requests that arrived, also those that were known already.
    pub requests: u64,
}

/// A charge.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The order.
    pub order: String,
    /// Whom it was taken from.
    pub account: String,
    /// In minor units.
    pub amount: u64,
    /// What was lacking, when it was declined.
    pub missing: Option<u64>,
}

impl Default for Books {
    fn default() -> Self {
        let funds = accounts().iter().map(|a| (a.to_string(), funds_of(a).minor())).collect();
        Self { funds, charges: BTreeMap::new(), refunds: BTreeMap::new(), requests: 0 }
    }
}

impl Books {
    /// Charges once for each key.
    fn charge(&mut self, key: &str, order: &str, account: &str, amount: u64) -> Charge {
        self.requests += 1;
        if let Some(known) = self.charges.get(key) {
            return known.clone();
        }
        let funds = self.funds.entry(account.to_owned()).or_default();
        let missing = amount.checked_sub(*funds).filter(|missing| *missing > 0);
        if missing.is_none() {
            *funds -= amount;
        }
        let (order, account) = (order.to_owned(), account.to_owned());
        let charge = Charge { order, account, amount, missing };
        self.charges.insert(key.to_owned(), charge.clone());
        charge
    }

    /// Gives back a charge, once for each key; `false` when there is none.
    fn refund(&mut self, key: &str, charge: &str) -> bool {
        self.requests += 1;
        let Some(taken) = self.charges.get(charge).filter(|taken| taken.missing.is_none()) else {
            return false;
        };
        if self.refunds.insert(key.to_owned(), charge.to_owned()).is_none() {
            *self.funds.entry(taken.account.clone()).or_default() += taken.amount;
        }
        true
    }

    /// What was taken of an account and not given back.
    #[must_use]
    pub fn kept(&self) -> u64 {
        let taken = self.charges.values().filter(|charge| charge.missing.is_none());
        let refunded = self.refunds.values().filter_map(|charge| self.charges.get(charge));
        let taken: u64 = taken.map(|charge| charge.amount).sum();
        taken.saturating_sub(refunded.map(|charge| charge.amount).sum())
    }
}

/// The gateway, as payment's performers call it.
#[derive(Clone, Debug)]
struct Line(Place<Books>);

/// Payment's performers.
pub(crate) fn performers(outside: &Outside) -> Performers {
    let line = Line(outside.place());
    Performers::new().with::<ChargeAccount>(line.clone()).with::<RefundAccount>(line)
}

/// So short that some tries are the last, and a person must look at the gateway's books.
fn policy() -> EffectPolicy {
    let mut retry = RetryPolicy::default();
    (retry.attempts_max, retry.delay_max) = (4, Duration::from_secs(8));
    EffectPolicy::default().timeout(Duration::from_secs(3)).schedule(Schedule::Backoff(retry))
}

/// The outcome of a charge that the gateway has in its books.
pub(crate) fn charged(asked: ChargeAccount, key: &str, charge: &Charge) -> AccountCharged {
    let answer = match charge.missing {
        None => ChargeAnswer::Approved { charge: key.to_owned() },
        Some(missing) => ChargeAnswer::Declined {
            why: DeclineReason::NotEnoughFunds { missing: money(missing) },
        },
    };
    AccountCharged { asked, answer }
}

fn minor(amount: Money) -> u64 {
    amount.minor()
}

impl Performer<ChargeAccount> for Line {
    fn policy(&self) -> EffectPolicy {
        policy()
    }

    async fn perform(
        &self,
        charge: &ChargeAccount,
        call: &Call,
    ) -> Result<AccountCharged, EffectError> {
        let key = call.key.to_string();
        let (order, account) = (charge.order.to_string(), charge.account.to_string());
        let (amount, under) = (minor(charge.amount), key.clone());
        let books =
            self.0.perform(call, move |books| books.charge(&under, &order, &account, amount));
        Ok(charged(charge.clone(), &key, &books.await?))
    }

    /// A charge that the books do not have may still be on its way.
    async fn ask(
        &self,
        charge: &ChargeAccount,
        call: &Call,
    ) -> Result<Asked<AccountCharged>, EffectError> {
        let key = call.key.to_string();
        let known = self.0.ask(call, |books| books.charges.get(&key).cloned()).await?;
        let done = known.map(|known| charged(charge.clone(), &key, &known));
        Ok(done.map_or(Asked::CannotTell, Asked::Done))
    }
}

impl Performer<RefundAccount> for Line {
    fn policy(&self) -> EffectPolicy {
        policy()
    }

    async fn perform(
        &self,
        refund: &RefundAccount,
        call: &Call,
    ) -> Result<AccountRefunded, EffectError> {
        let (key, charge) = (call.key.to_string(), refund.charge.clone());
        match self.0.perform(call, move |books| books.refund(&key, &charge)).await? {
            true => Ok(AccountRefunded { asked: refund.clone() }),
            false => Err(EffectError::hopeless("the gateway never took what is to be refunded")),
        }
    }

    async fn ask(
        &self,
        refund: &RefundAccount,
        call: &Call,
    ) -> Result<Asked<AccountRefunded>, EffectError> {
        let key = call.key.to_string();
        match self.0.ask(call, |books| books.refunds.contains_key(&key)).await? {
            true => Ok(Asked::Done(AccountRefunded { asked: refund.clone() })),
            false => Ok(Asked::CannotTell),
        }
    }
}
