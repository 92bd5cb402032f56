//! The books: accounts, and every charge and refund under its key. No I/O: the same entries in the same
//! order give the same books.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entries::{
    Amount, Balance, Charge, ChargeAnswer, ChargeRequest, Decline, MINOR_MAX, Refund, RefundAnswer,
    RefundRefusal, RefundRequest, VoidAnswer,
};

/// Accounts, charges and refunds that the books can hold; then nothing new is taken.
pub(crate) const ENTRIES_MAX: usize = 5_000_000;

/// Something new in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Entry {
    Account { account: String, funds: Amount },
    Charge { key: String, request: ChargeRequest },
    Refund { key: String, request: RefundRequest },
    Void { key: String },
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The key was used for another request.
    #[error("this key was used for another request")]
    KeyReused,
    /// An account keeps its currency.
    #[error("the account is in another currency")]
    OtherCurrency,
    /// There is no room.
    #[error("the books are full")]
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    accounts: BTreeMap<String, Balance>,
    charges: BTreeMap<String, Charge>,
    refunds: BTreeMap<String, Refund>,
}

impl Books {
    pub(crate) fn account(&self, account: &str) -> Option<&Balance> {
        self.accounts.get(account)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Balance> {
        self.accounts.values()
    }

    pub(crate) fn charge(&self, key: &str) -> Option<&Charge> {
        self.charges.get(key)
    }

    pub(crate) fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.charges.values()
    }

    pub(crate) fn refund(&self, key: &str) -> Option<&Refund> {
        self.refunds.get(key)
    }

    pub(crate) fn refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.values()
    }

    /// Whether the entry is new; one that was made before, or changes nothing, is not.
    pub(crate) fn is_new(&self, entry: &Entry) -> Result<bool, Unfit> {
        let new = match entry {
            Entry::Account { account, funds } => match self.accounts.get(account) {
                Some(balance) if balance.funds.currency != funds.currency => {
                    return Err(Unfit::OtherCurrency);
                }
                Some(balance) => balance.funds != *funds,
                None => true,
            },
            Entry::Charge { key, request } => match self.charges.get(key).map(|c| &c.request) {
                Some(Some(first)) if first != request => return Err(Unfit::KeyReused),
                Some(first) => first.is_none(),
                None => true,
            },
            Entry::Refund { key, request } => match self.refunds.get(key) {
                Some(first) if first.request != *request => return Err(Unfit::KeyReused),
                Some(_) => false,
                None => true,
            },
            Entry::Void { key } => !self.charges.contains_key(key),
        };
        let entries = self.accounts.len() + self.charges.len() + self.refunds.len();
        if new && entries >= ENTRIES_MAX { Err(Unfit::Full) } else { Ok(new) }
    }

    /// Takes a new entry in.
    pub(crate) fn enter(&mut self, entry: Entry) {
        match entry {
            Entry::Account { account, funds } => {
                let (charged, refunded) =
                    self.accounts.get(&account).map_or((0, 0), |b| (b.charged, b.refunded));
                self.accounts.insert(account, Balance { funds, charged, refunded });
            }
            Entry::Charge { key, request } => {
                let answer = match self.charges.get(&key) {
                    Some(_) => ChargeAnswer::Voided,
                    None => self.take(&request),
                };
                let request = Some(request);
                self.charges.insert(key, Charge { request, answer, refunded: 0 });
            }
            Entry::Refund { key, request } => {
                let answer = match self.give_back(&request) {
                    Ok(()) => RefundAnswer::Refunded,
                    Err(reason) => RefundAnswer::Refused { reason },
                };
                self.refunds.insert(key, Refund { request, answer });
            }
            Entry::Void { key } => {
                let answer = ChargeAnswer::Voided;
                self.charges.insert(key, Charge { request: None, answer, refunded: 0 });
            }
        }
    }

    pub(crate) fn void_answer(&self, key: &str) -> VoidAnswer {
        match self.charges.get(key).map(|charge| &charge.answer) {
            Some(ChargeAnswer::Approved | ChargeAnswer::Declined { .. }) => VoidAnswer::TooLate,
            Some(ChargeAnswer::Voided) | None => VoidAnswer::Voided,
        }
    }

    fn take(&mut self, request: &ChargeRequest) -> ChargeAnswer {
        match self.taken(request) {
            Ok(()) => ChargeAnswer::Approved,
            Err(reason) => ChargeAnswer::Declined { reason },
        }
    }

    fn taken(&mut self, request: &ChargeRequest) -> Result<(), Decline> {
        let balance = self.accounts.get_mut(&request.account).ok_or(Decline::UnknownAccount)?;
        let Amount { minor, currency } = &request.amount;
        if balance.funds.currency != *currency {
            return Err(Decline::OtherCurrency);
        }
        let missing = minor.saturating_sub(balance.funds.minor);
        if missing > 0 {
            return Err(Decline::NotEnoughFunds { missing });
        }
        let charged = balance.charged.checked_add(*minor).filter(|sum| *sum <= MINOR_MAX);
        balance.charged = charged.ok_or(Decline::AccountFull)?;
        balance.funds.minor -= minor;
        Ok(())
    }

    fn give_back(&mut self, request: &RefundRequest) -> Result<(), RefundRefusal> {
        let charge = self.charges.get_mut(&request.charge).ok_or(RefundRefusal::NeverCharged)?;
        let (Some(charged), ChargeAnswer::Approved) = (&charge.request, &charge.answer) else {
            return Err(RefundRefusal::NeverCharged);
        };
        let Amount { minor, currency } = &request.amount;
        if charged.amount.currency != *currency {
            return Err(RefundRefusal::OtherCurrency);
        }
        if *minor > charged.amount.minor - charge.refunded {
            return Err(RefundRefusal::MoreThanCharged);
        }
        // What was charged came from an account, and accounts do not go.
        let balance = self.accounts.get_mut(&charged.account).ok_or(RefundRefusal::NeverCharged)?;
        charge.refunded += minor;
        balance.refunded += minor;
        balance.funds.minor = balance.funds.minor.saturating_add(*minor);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(minor: u64) -> Amount {
        Amount { minor, currency: "EUR".to_owned() }
    }

    fn charge(key: &str, minor: u64) -> Entry {
        let (account, reference) = ("ann".to_owned(), "o-1".to_owned());
        let request = ChargeRequest { account, amount: eur(minor), reference };
        Entry::Charge { key: key.to_owned(), request }
    }

    fn refund(key: &str, charge: &str, minor: u64) -> Entry {
        let request = RefundRequest { charge: charge.to_owned(), amount: eur(minor) };
        Entry::Refund { key: key.to_owned(), request }
    }

    fn books(entries: impl IntoIterator<Item = Entry>) -> Books {
        let mut books = Books::default();
        books.enter(Entry::Account { account: "ann".to_owned(), funds: eur(100) });
        for entry in entries {
            if books.is_new(&entry).unwrap() {
                books.enter(entry);
            }
        }
        books
    }

    fn standing(books: &Books) -> (u64, u64, u64) {
        let ann = books.account("ann").unwrap();
        (ann.funds.minor, ann.charged, ann.refunded)
    }

    #[test]
    fn a_key_charges_once() {
        let books = books([charge("k", 60), charge("k", 60)]);
        assert_eq!(standing(&books), (40, 60, 0));
        assert_eq!(books.is_new(&charge("k", 61)), Err(Unfit::KeyReused));
        assert_eq!(books.charge("k").unwrap().answer, ChargeAnswer::Approved);
    }

    #[test]
    fn a_charge_that_was_declined_stays_declined() {
        let books = books([
            charge("k", 101),
            Entry::Account { account: "ann".to_owned(), funds: eur(500) },
            charge("k", 101),
        ]);
        let reason = Decline::NotEnoughFunds { missing: 1 };
        assert_eq!(books.charge("k").unwrap().answer, ChargeAnswer::Declined { reason });
        assert_eq!(standing(&books), (500, 0, 0));
    }

    #[test]
    fn only_what_was_charged_comes_back_and_once() {
        let never = books([refund("r", "k", 60), charge("k", 60), refund("r", "k", 60)]);
        let reason = RefundRefusal::NeverCharged;
        assert_eq!(never.refund("r").unwrap().answer, RefundAnswer::Refused { reason });
        assert_eq!(standing(&never), (40, 60, 0), "the first answer stands");

        let twice = books([charge("k", 60), refund("r", "k", 60), refund("s", "k", 1)]);
        let reason = RefundRefusal::MoreThanCharged;
        assert_eq!(twice.refund("s").unwrap().answer, RefundAnswer::Refused { reason });
        assert_eq!(standing(&twice), (100, 60, 60));
    }

    #[test]
    fn a_void_that_comes_first_leaves_a_tombstone() {
        let key = || "k".to_owned();
        let books =
            books([Entry::Void { key: key() }, charge("k", 60), Entry::Void { key: key() }]);
        assert_eq!(books.charge("k").unwrap().answer, ChargeAnswer::Voided);
        assert_eq!(books.void_answer("k"), VoidAnswer::Voided);
        assert_eq!(standing(&books), (100, 0, 0));
    }

    #[test]
    fn a_void_that_comes_late_changes_nothing() {
        let books = books([charge("k", 60), Entry::Void { key: "k".to_owned() }]);
        assert_eq!(books.void_answer("k"), VoidAnswer::TooLate);
        assert_eq!(standing(&books), (40, 60, 0));
    }
}
