//! The script: which orders are placed, drawn from the seed. Order `n` of a seed is always the same.

use std::time::Duration;

use anyhow::Result;
use quadrille::id::CauseId;
use rand::{Rng, SeedableRng, rngs::StdRng};
use schemas::{AccountId, Country, CustomerId, Money, OrderId, OrderLine, OrderLines, Sku};

/// Accounts that can pay; there is one more that cannot.
const ACCOUNTS: u64 = 200;
/// An article that is never in stock.
const NEVER_IN_STOCK: &str = "sku-none";
const POOR_ACCOUNT: &str = "account-poor";
/// A country that no carrier serves.
const NOT_SERVED: &str = "AQ";
const CURRENCY: &str = "EUR";
/// What every account has at first, in minor units: more than all orders of a story can cost.
const FUNDS_MINOR: u64 = 1 << 50;

/// One order of the story.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The id that its customer chose.
    pub order: OrderId,
    /// Who ordered.
    pub customer: CustomerId,
    /// Who pays.
    pub account: AccountId,
    /// What was ordered.
    pub lines: OrderLines,
    /// Where it goes.
    pub destination: Country,
    /// The customer changes their mind this long after the order was placed.
    pub cancelled_after: Option<Duration>,
}

/// The story of one seed.
#[derive(Clone, Debug)]
pub struct Script {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many orders.
    pub sagas: u64,
    /// How many articles.
    pub skus: u64,
}

impl Script {
    /// Order `n`.
    ///
    /// # Errors
    /// None in practice: the names are made here.
    pub fn placement(&self, n: u64) -> Result<Placement> {
        let mut rng =
            StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n));
        let mut below = |bound: u64| rng.next_u64() % bound;
        // Of a hundred orders, about five each go wrong in each way, and eight are cancelled. The first
        // hundred hold one of each kind for certain, however short the story is.
        let kind = if n < 10 { n * 10 } else { below(100) };
        let account = if (80..85).contains(&kind) {
            POOR_ACCOUNT.to_owned()
        } else {
            format!("account-{}", below(ACCOUNTS))
        };
        let first = if (85..90).contains(&kind) {
            NEVER_IN_STOCK.to_owned()
        } else {
            format!("sku-{}", below(self.skus))
        };
        let mut lines = vec![line(&first, 1 + below(3), 100 + below(5_000))?];
        if below(4) == 0 {
            lines.push(line(&format!("sku-{}", below(self.skus)), 1, 100 + below(900))?);
        }
        let destination = if (90..92).contains(&kind) || kind == 70 { NOT_SERVED } else { "NL" };
        Ok(Placement {
            order: format!("order-{}-{n:08}", self.seed).parse()?,
            customer: format!("customer-{}", below(500)).parse()?,
            account: account.parse()?,
            lines: lines.try_into()?,
            destination: destination.parse()?,
            cancelled_after: match kind {
                60 => Some(Duration::ZERO),
                92..100 => Some(Duration::from_millis(below(60))),
                _ => None,
            },
        })
    }

    /// The accounts, and what each has at first.
    ///
    /// # Errors
    /// None in practice: the names are made here.
    pub fn accounts(&self) -> Result<Vec<(AccountId, Money)>> {
        let money = |minor| -> Result<Money> { Ok(Money::new(minor, CURRENCY.parse()?)?) };
        let mut accounts = vec![(POOR_ACCOUNT.parse()?, money(1)?)];
        for n in 0..ACCOUNTS {
            accounts.push((format!("account-{n}").parse()?, money(FUNDS_MINOR)?));
        }
        Ok(accounts)
    }

    /// The articles, and how many of each are there at first.
    ///
    /// # Errors
    /// None in practice: the names are made here.
    pub fn stock(&self) -> Result<Vec<(Sku, u64)>> {
        let each = 8 * self.sagas + 8;
        let mut stock = vec![(NEVER_IN_STOCK.parse()?, 0)];
        for n in 0..self.skus {
            stock.push((format!("sku-{n}").parse()?, each));
        }
        Ok(stock)
    }

    /// The id of a command of this story: repeated after a crash, it gets its first answer.
    pub fn command(&self, kind: Kind, n: u64) -> CauseId {
        // A UUID of one's own making: bytes 6 and 8 hold its version and variant.
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&self.seed.to_be_bytes()[2..]);
        bytes[7] = kind as u8;
        bytes[9..].copy_from_slice(&n.to_be_bytes()[1..]);
        CauseId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// The commands of the story.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Fills account `n`.
    Fund,
    /// Fills article `n`.
    Stock,
    /// Places order `n`.
    Place,
    /// Cancels order `n`.
    Cancel,
}

fn line(sku: &str, quantity: u64, minor: u64) -> Result<OrderLine> {
    Ok(OrderLine {
        sku: sku.parse()?,
        quantity: u32::try_from(quantity)?.try_into()?,
        price: Money::new(minor, CURRENCY.parse()?)?,
    })
}
