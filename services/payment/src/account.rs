//! An account: what it has, what was captured from it, and what came back.

use quadrille::prelude::*;
use schemas::{AccountId, DeclineReason, Money, MoneyError, OrderId};
use serde::{Deserialize, Serialize};

/// A customer's account. It is open once its funds were set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    balance: Option<Balance>,
}

/// An account's sums, in one currency.
///
/// `funds + captured − refunded` is what was ever put in, and stays within the limits of [`Money`]: a
/// refund always fits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Balance {
    /// What can be captured.
    pub funds: Money,
    /// All that was ever captured.
    pub captured: Money,
    /// All that was ever given back.
    pub refunded: Money,
}

impl Account {
    /// Its sums, once it is open.
    #[must_use]
    pub fn balance(&self) -> Option<Balance> {
        self.balance
    }
}

impl Balance {
    fn with_funds(before: Option<Self>, funds: Money) -> Result<Self, MoneyError> {
        let zero = Money::zero(funds.currency());
        let before = before.unwrap_or(Self { funds, captured: zero, refunded: zero });
        funds.plus(before.captured.minus(before.refunded)?)?;
        Ok(Self { funds, ..before })
    }

    fn capture(self, amount: Money) -> Result<Self, MoneyError> {
        let (funds, captured) = (self.funds.minus(amount)?, self.captured.plus(amount)?);
        Ok(Self { funds, captured, ..self })
    }

    fn refund(self, amount: Money) -> Result<Self, MoneyError> {
        let refunded = self.refunded.plus(amount)?;
        self.captured.minus(refunded)?;
        Ok(Self { funds: self.funds.plus(amount)?, refunded, ..self })
    }
}

impl Aggregate for Account {
    const NAME: &'static str = "account";
    type Id = AccountId;
    type Events = (FundsSet, Captured, Refunded);
}

/// The account has so much from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "account.funds_set", private)]
pub struct FundsSet {
    /// What can be captured.
    pub funds: Money,
}

/// Money was taken for an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "account.captured", private)]
pub struct Captured {
    /// For which order.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

/// Money came back from an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "account.refunded", private)]
pub struct Refunded {
    /// From which order.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

// The commands below have made each sum before they record it, so none of these can fail.
impl Apply<FundsSet> for Account {
    fn apply(&mut self, event: &FundsSet) {
        self.balance = Balance::with_funds(self.balance, event.funds).ok().or(self.balance);
    }
}

impl Apply<Captured> for Account {
    fn apply(&mut self, event: &Captured) {
        self.balance = self.balance.map(|b| b.capture(event.amount).unwrap_or(b));
    }
}

impl Apply<Refunded> for Account {
    fn apply(&mut self, event: &Refunded) {
        self.balance = self.balance.map(|b| b.refund(event.amount).unwrap_or(b));
    }
}

/// Sets what an account has; opens it when it is new.
#[derive(Clone, Debug)]
pub struct SetFunds {
    /// What can be captured from now on.
    pub funds: Money,
}

/// Why funds cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FundsRefused {
    /// The account is in another currency.
    OtherCurrency,
    /// A refund of what is captured would not fit any more.
    TooMuch,
}

impl Command for SetFunds {
    type Aggregate = Account;
    type Emits = (FundsSet,);
    type Refusal = FundsRefused;

    fn decide(self, account: &mut Facts<'_, Self>) -> Result<(), FundsRefused> {
        match Balance::with_funds(account.balance, self.funds) {
            Ok(after) if account.balance == Some(after) => Ok(()),
            Ok(_) => {
                account.record(FundsSet { funds: self.funds });
                Ok(())
            }
            Err(MoneyError::CurrenciesDiffer) => Err(FundsRefused::OtherCurrency),
            Err(_) => Err(FundsRefused::TooMuch),
        }
    }
}

/// Takes an order's total from an account.
#[derive(Clone, Debug)]
pub struct Capture {
    /// For which order.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

impl Command for Capture {
    type Aggregate = Account;
    type Emits = (Captured,);
    type Refusal = DeclineReason;

    fn decide(self, account: &mut Facts<'_, Self>) -> Result<(), DeclineReason> {
        let Self { order, amount } = self;
        let balance = account.balance.ok_or(DeclineReason::UnknownAccount)?;
        match balance.capture(amount) {
            Ok(_) => {
                account.record(Captured { order, amount });
                Ok(())
            }
            Err(MoneyError::CurrenciesDiffer) => Err(DeclineReason::OtherCurrency),
            Err(_) => Err(match amount.minus(balance.funds) {
                Ok(missing) if missing.minor() > 0 => DeclineReason::NotEnoughFunds { missing },
                _ => DeclineReason::AccountFull,
            }),
        }
    }
}

/// Gives back what was captured for an order.
#[derive(Clone, Debug)]
pub struct Refund {
    /// For which order.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

/// The account has not captured so much: what is to be refunded was never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCaptured;

impl Command for Refund {
    type Aggregate = Account;
    type Emits = (Refunded,);
    type Refusal = NotCaptured;

    fn decide(self, account: &mut Facts<'_, Self>) -> Result<(), NotCaptured> {
        let Self { order, amount } = self;
        account.balance.and_then(|b| b.refund(amount).ok()).ok_or(NotCaptured)?;
        account.record(Refunded { order, amount });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
