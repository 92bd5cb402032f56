//! Money in minor units. No floats, no silent overflow, no sums across currencies.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::Currency;

/// The largest amount, in minor units: what every JSON reader keeps exactly (2⁵³ − 1).
pub const MINOR_MAX: u64 = (1 << 53) - 1;

/// An amount of one currency, in its minor units (cents), from 0 to [`MINOR_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Money {
    minor: u64,
    currency: Currency,
}

/// An amount that is not money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{minor} minor units are more than the {MINOR_MAX} that an amount can have")]
pub struct InvalidMoney {
    minor: u64,
}

/// Why two amounts have no sum or difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// They are of two currencies.
    #[error("the currencies differ")]
    CurrenciesDiffer,
    /// The result is above [`MINOR_MAX`].
    #[error("the amount is above {MINOR_MAX} minor units")]
    TooLarge,
    /// The result is below zero.
    #[error("the amount is below zero")]
    Negative,
}

impl Money {
    /// An amount.
    ///
    /// # Errors
    /// More than [`MINOR_MAX`] minor units.
    pub fn new(minor: u64, currency: Currency) -> Result<Self, InvalidMoney> {
        if minor > MINOR_MAX { Err(InvalidMoney { minor }) } else { Ok(Self { minor, currency }) }
    }

    /// Nothing, in a currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The amount in minor units.
    #[must_use]
    pub fn minor(self) -> u64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrenciesDiffer`], [`MoneyError::TooLarge`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).filter(|minor| *minor <= MINOR_MAX);
        minor.map(|minor| Self { minor, ..self }).ok_or(MoneyError::TooLarge)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrenciesDiffer`], [`MoneyError::Negative`].
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor);
        minor.map(|minor| Self { minor, ..self }).ok_or(MoneyError::Negative)
    }

    /// So many times the amount.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn times(self, count: u32) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(count.into()).filter(|minor| *minor <= MINOR_MAX);
        minor.map(|minor| Self { minor, ..self }).ok_or(MoneyError::TooLarge)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrenciesDiffer) }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (minor units)", self.minor, self.currency)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Unchecked::json_schema(generator)
    }
}

/// An amount of one currency, in its minor units (cents).
#[derive(Deserialize, JsonSchema)]
struct Unchecked {
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    minor: u64,
    currency: Currency,
}

impl TryFrom<Unchecked> for Money {
    type Error = InvalidMoney;
    fn try_from(Unchecked { minor, currency }: Unchecked) -> Result<Self, InvalidMoney> {
        Self::new(minor, currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(minor: u64, currency: &str) -> Money {
        Money::new(minor, currency.parse().unwrap()).unwrap()
    }

    #[test]
    fn refuses_sums_across_currencies_and_beyond_the_limits() {
        let (one, max) = (money(1, "EUR"), money(MINOR_MAX, "EUR"));
        assert_eq!(one.plus(money(1, "USD")), Err(MoneyError::CurrenciesDiffer));
        assert_eq!(one.minus(money(1, "USD")), Err(MoneyError::CurrenciesDiffer));
        assert_eq!(max.plus(one), Err(MoneyError::TooLarge));
        assert_eq!(max.times(2), Err(MoneyError::TooLarge));
        assert_eq!(one.minus(max), Err(MoneyError::Negative));
        assert!(Money::new(MINOR_MAX + 1, one.currency()).is_err());
    }

    #[test]
    fn json_takes_whole_minor_units_only() {
        let read = |text: &str| serde_json::from_str::<Money>(text);
        assert_eq!(read(r#"{"minor":5,"currency":"EUR"}"#).unwrap(), money(5, "EUR"));
        for wrong in ["1.5", "-1", "1e3", "9007199254740992", "\"1\"", "null"] {
            assert!(read(&format!(r#"{{"minor":{wrong},"currency":"EUR"}}"#)).is_err(), "{wrong}");
        }
        assert!(read(r#"{"minor":1}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_sum_less_one_part_is_the_other(a in 0..=MINOR_MAX / 2, b in 0..=MINOR_MAX / 2) {
            let (a, b) = (money(a, "EUR"), money(b, "EUR"));
            prop_assert_eq!(a.plus(b).unwrap().minus(b), Ok(a));
        }
    }
}
