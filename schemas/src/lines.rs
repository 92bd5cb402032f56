//! The lines of an order.

use std::{borrow::Cow, num::NonZeroU32, ops::Deref, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Money, MoneyError, Sku};

/// The most lines of one order.
pub const LINES_MAX: usize = 32;

/// Some of one product, at a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// The product.
    pub sku: Sku,
    /// How many of it.
    pub quantity: NonZeroU32,
    /// What one of it costs.
    pub price: Money,
}

/// The lines of an order: 1 to [`LINES_MAX`], in one currency, with a total that is
/// [`Money`]. A product may be on several of them. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OrderLine>", into = "Vec<OrderLine>")]
pub struct OrderLines {
    lines: Arc<[OrderLine]>,
    total: Money,
}

/// Why these are no lines of an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLines {
    /// There is none.
    #[error("an order has at least one line")]
    None,
    /// There are more than [`LINES_MAX`].
    #[error("an order has at most {LINES_MAX} lines, this one has {0}")]
    TooMany(usize),
    /// They have no total.
    #[error("the lines have no total: {0}")]
    NoTotal(#[from] MoneyError),
}

impl OrderLines {
    /// What all of it costs.
    #[must_use]
    pub fn total(&self) -> Money {
        self.total
    }
}

impl Deref for OrderLines {
    type Target = [OrderLine];
    fn deref(&self) -> &[OrderLine] {
        &self.lines
    }
}

impl TryFrom<Vec<OrderLine>> for OrderLines {
    type Error = InvalidLines;
    fn try_from(lines: Vec<OrderLine>) -> Result<Self, InvalidLines> {
        let Some(first) = lines.first() else { return Err(InvalidLines::None) };
        if lines.len() > LINES_MAX {
            return Err(InvalidLines::TooMany(lines.len()));
        }
        let nothing = Money::zero(first.price.currency());
        let total = lines.iter().try_fold(nothing, |sum, line| {
            line.price.times(line.quantity.get()).and_then(|cost| sum.plus(cost))
        })?;
        Ok(Self { lines: lines.into(), total })
    }
}

impl From<OrderLines> for Vec<OrderLine> {
    fn from(lines: OrderLines) -> Self {
        lines.to_vec()
    }
}

impl JsonSchema for OrderLines {
    fn schema_name() -> Cow<'static, str> {
        "OrderLines".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "description": "The lines of an order, in one currency.",
            "items": generator.subschema_for::<OrderLine>(),
            "minItems": 1,
            "maxItems": LINES_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(quantity: u32, minor: u64, currency: &str) -> OrderLine {
        OrderLine {
            sku: "tea".parse().unwrap(),
            quantity: quantity.try_into().unwrap(),
            price: Money::new(minor, currency.parse().unwrap()).unwrap(),
        }
    }

    #[test]
    fn the_total_is_the_sum_of_price_times_quantity() {
        let lines = OrderLines::try_from(vec![line(2, 150, "EUR"), line(1, 5, "EUR")]).unwrap();
        assert_eq!(lines.total().minor(), 305);
    }

    #[test]
    fn refuses_no_lines_too_many_and_no_total() {
        let refused = |lines| OrderLines::try_from(lines).unwrap_err();
        assert_eq!(refused(vec![]), InvalidLines::None);
        assert_eq!(refused(vec![line(1, 1, "EUR"); 33]), InvalidLines::TooMany(33));
        let mixed = vec![line(1, 1, "EUR"), line(1, 1, "USD")];
        assert_eq!(refused(mixed), InvalidLines::NoTotal(MoneyError::CurrenciesDiffer));
        let much = vec![line(u32::MAX, crate::MINOR_MAX, "EUR")];
        assert_eq!(refused(much), InvalidLines::NoTotal(MoneyError::TooLarge));
    }

    #[test]
    fn json_refuses_a_quantity_that_is_none() {
        for quantity in ["0", "-1", "1.5", "4294967296", "\"2\""] {
            let text = format!(
                r#"[{{"sku":"tea","quantity":{quantity},"price":{{"minor":1,"currency":"EUR"}}}}]"#
            );
            assert!(serde_json::from_str::<OrderLines>(&text).is_err(), "{quantity}");
        }
    }
}
