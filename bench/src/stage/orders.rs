//! What is ordered, who pays, and what is there: every order succeeds.

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use inventory::{Inventory, SetStock};
use order::PlaceOrder;
use payment::{Payment, SetFunds};
use quadrille::engine::Client;
use schemas::{AccountId, Money, OrderId, OrderLine, Sku};

/// Accounts that pay in turn.
pub(crate) const ACCOUNTS: u64 = 1_000;
/// More than all orders of a run can cost or take.
pub(crate) const PLENTY: u64 = 1 << 40;
const COMMANDS_AT_ONCE: usize = 512;

/// How many articles the orders are spread over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Market {
    pub(crate) skus: u64,
}

impl Default for Market {
    fn default() -> Self {
        Self { skus: 1_000 }
    }
}

impl Market {
    pub(crate) fn account(n: u64) -> Result<AccountId> {
        Ok(format!("account-{}", n % ACCOUNTS).parse()?)
    }

    pub(crate) fn sku(self, n: u64) -> Result<Sku> {
        Ok(format!("sku-{}", n % self.skus).parse()?)
    }

    /// Fills all accounts.
    pub(crate) async fn fund(self, payments: &Client<Payment>) -> Result<()> {
        stream::iter(0..ACCOUNTS)
            .map(|n| async move {
                let funds = euros(PLENTY)?;
                let set = payments.execute(&Self::account(n)?, SetFunds { funds }).await?;
                set.map(drop).map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
            })
            .buffer_unordered(COMMANDS_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    /// Fills the stock of all articles.
    pub(crate) async fn fill(self, stock: &Client<Inventory>) -> Result<()> {
        stream::iter(0..self.skus)
            .map(|n| async move {
                let set = stock.execute(&self.sku(n)?, SetStock { available: PLENTY }).await?;
                set.map(drop).map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
            })
            .buffer_unordered(COMMANDS_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }
}

pub(crate) fn euros(minor: u64) -> Result<Money> {
    Ok(Money::new(minor, "EUR".parse()?)?)
}

/// The id of order `n`.
pub(crate) fn order_id(n: u64) -> Result<OrderId> {
    Ok(format!("o-{n}").parse()?)
}

/// The number of the order in a stream's or a key's name.
pub(crate) fn order_number(name: &str) -> Option<u64> {
    name.rsplit_once("o-")?.1.parse().ok()
}

/// Order `n`.
pub(crate) fn command(market: Market, n: u64) -> Result<(OrderId, PlaceOrder)> {
    let order = order_id(n)?;
    let line = OrderLine {
        sku: market.sku(n)?,
        quantity: 1u32.try_into()?,
        price: euros(100 + n % 5_000)?,
    };
    let command = PlaceOrder {
        order: order.clone(),
        customer: format!("customer-{}", n % 500).parse()?,
        account: Market::account(n)?,
        lines: vec![line].try_into()?,
        destination: "NL".parse()?,
        finish_within: order::FINISH_WITHIN,
    };
    Ok((order, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orders_number_is_in_its_names() {
        let (id, command) = command(Market { skus: 1 }, 1_234).unwrap();
        assert_eq!(order_number(&format!("order/{id}")), Some(1_234));
        assert_eq!(command.lines[0].sku, Market { skus: 1 }.sku(7).unwrap());
    }
}
