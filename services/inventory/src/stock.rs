//! The stock of one product: three counters, nothing else. Which order has reserved what is in the
//! order's own stream, so that a product on a million orders stays as small as a new one.

use std::num::NonZeroU32;

use quadrille::prelude::*;
use schemas::Sku;
use serde::{Deserialize, Serialize};

/// The most of one product, all three counters together: what every JSON reader keeps exactly.
pub const STOCK_MAX: u64 = (1 << 53) - 1;

/// The stock of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stock {
    /// On the shelf, for anyone.
    pub available: u64,
    /// Kept back for orders.
    pub reserved: u64,
    /// Gone to customers.
    pub shipped: u64,
}

impl Stock {
    fn with_available(self, available: u64) -> Option<Self> {
        let all = available.checked_add(self.reserved)?.checked_add(self.shipped)?;
        (all <= STOCK_MAX).then_some(Self { available, ..self })
    }

    fn reserve(self, quantity: NonZeroU32) -> Option<Self> {
        let n = u64::from(quantity.get());
        let available = self.available.checked_sub(n)?;
        Some(Self { available, reserved: self.reserved.checked_add(n)?, ..self })
    }

    fn release(self, quantity: NonZeroU32) -> Option<Self> {
        let n = u64::from(quantity.get());
        let reserved = self.reserved.checked_sub(n)?;
        Some(Self { reserved, available: self.available.checked_add(n)?, ..self })
    }

    fn ship(self, quantity: NonZeroU32) -> Option<Self> {
        let n = u64::from(quantity.get());
        let reserved = self.reserved.checked_sub(n)?;
        Some(Self { reserved, shipped: self.shipped.checked_add(n)?, ..self })
    }
}

impl Aggregate for Stock {
    const NAME: &'static str = "stock";
    type Id = Sku;
    type Events = (StockSet, Reserved, Released, Shipped);
}

/// So many are on the shelf from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.set", private)]
pub struct StockSet {
    /// How many.
    pub available: u64,
}

/// Some are kept back for an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.reserved", private)]
pub struct Reserved {
    /// How many.
    pub quantity: NonZeroU32,
}

/// Some are on the shelf again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.released", private)]
pub struct Released {
    /// How many.
    pub quantity: NonZeroU32,
}

/// Some have left with an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.shipped", private)]
pub struct Shipped {
    /// How many.
    pub quantity: NonZeroU32,
}

// The commands below have counted before they record, so none of these can fail.
impl Apply<StockSet> for Stock {
    fn apply(&mut self, event: &StockSet) {
        *self = self.with_available(event.available).unwrap_or(*self);
    }
}

impl Apply<Reserved> for Stock {
    fn apply(&mut self, event: &Reserved) {
        *self = self.reserve(event.quantity).unwrap_or(*self);
    }
}

impl Apply<Released> for Stock {
    fn apply(&mut self, event: &Released) {
        *self = self.release(event.quantity).unwrap_or(*self);
    }
}

impl Apply<Shipped> for Stock {
    fn apply(&mut self, event: &Shipped) {
        *self = self.ship(event.quantity).unwrap_or(*self);
    }
}

/// Sets how many are on the shelf.
#[derive(Clone, Debug)]
pub struct SetStock {
    /// How many.
    pub available: u64,
}

/// With what is reserved and shipped it would be more than [`STOCK_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooMany;

impl Command for SetStock {
    type Aggregate = Stock;
    type Emits = (StockSet,);
    type Refusal = TooMany;

    fn decide(self, stock: &mut Facts<'_, Self>) -> Result<(), TooMany> {
        let after = stock.with_available(self.available).ok_or(TooMany)?;
        if after != **stock {
            stock.record(StockSet { available: self.available });
        }
        Ok(())
    }
}

/// Keeps some back for an order.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// How many.
    pub quantity: NonZeroU32,
}

/// There are not so many on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// How many are lacking.
    pub missing: u64,
}

impl Command for Reserve {
    type Aggregate = Stock;
    type Emits = (Reserved,);
    type Refusal = Short;

    fn decide(self, stock: &mut Facts<'_, Self>) -> Result<(), Short> {
        let missing = || u64::from(self.quantity.get()).saturating_sub(stock.available);
        stock.reserve(self.quantity).ok_or_else(|| Short { missing: missing() })?;
        stock.record(Reserved { quantity: self.quantity });
        Ok(())
    }
}

/// Puts some that were kept back on the shelf again.
#[derive(Clone, Debug)]
pub struct Release {
    /// How many.
    pub quantity: NonZeroU32,
}

/// Sends some that were kept back to their customer.
#[derive(Clone, Debug)]
pub struct Ship {
    /// How many.
    pub quantity: NonZeroU32,
}

/// There are not so many kept back: what is to leave the reservation was never in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReserved;

impl Command for Release {
    type Aggregate = Stock;
    type Emits = (Released,);
    type Refusal = NotReserved;

    fn decide(self, stock: &mut Facts<'_, Self>) -> Result<(), NotReserved> {
        stock.release(self.quantity).ok_or(NotReserved)?;
        stock.record(Released { quantity: self.quantity });
        Ok(())
    }
}

impl Command for Ship {
    type Aggregate = Stock;
    type Emits = (Shipped,);
    type Refusal = NotReserved;

    fn decide(self, stock: &mut Facts<'_, Self>) -> Result<(), NotReserved> {
        stock.ship(self.quantity).ok_or(NotReserved)?;
        stock.record(Shipped { quantity: self.quantity });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
