//! The audit: every order's facts, gathered from what the four services stated, and the laws they must
//! keep whenever all is quiet.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use quadrille::{DomainEvent, store::RecordedEvent};
use schemas::{
    BilledOrder, CancellationReason, FailureReason, OrderCancelled, OrderConcluded, OrderCreated,
    OrderDelivered, OrderFailed, OrderPrepared, PaymentRefunded, StockReleased,
};
use serde::Serialize;

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Charged and delivered.
    Concluded,
    /// The account could not pay.
    Declined,
    /// An article was not there.
    OutOfStock,
    /// No carrier goes there.
    NotDeliverable,
    /// The customer changed their mind in time.
    Cancelled,
    /// Unfinished after its time.
    Expired,
}

impl End {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::Concluded,
        Self::Declined,
        Self::OutOfStock,
        Self::NotDeliverable,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Concluded => "concluded",
            Self::Declined => "declined",
            Self::OutOfStock => "out_of_stock",
            Self::NotDeliverable => "not_deliverable",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// What is known of one order.
#[derive(Debug, Default)]
struct Facts {
    created: u32,
    total: u64,
    ends: Vec<End>,
    billed: u32,
    billed_minor: u64,
    refunded: u32,
    refunded_minor: u64,
    prepared: u32,
    released: u32,
    delivered: u32,
}

/// All orders.
#[derive(Debug, Default)]
pub struct Audit {
    orders: BTreeMap<String, Facts>,
    /// How many events were taken in.
    pub events: u64,
}

/// What the services' own aggregates say, or the payment gateway, summed up.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Books {
    /// Minor units that were taken from accounts.
    pub captured: u64,
    /// Minor units that were given back.
    pub refunded: u64,
    /// Per article: what was put there, and what is available, reserved and shipped now.
    pub stock: Vec<(u64, u64, u64, u64)>,
}

impl Audit {
    /// Takes in one public event.
    ///
    /// # Errors
    /// Its payload cannot be read.
    pub fn note(&mut self, event: &RecordedEvent) -> Result<()> {
        self.events += 1;
        let Some(published) = &event.published else { return Ok(()) };
        let facts = self.orders.entry(published.key.to_string()).or_default();
        match &*event.event_type {
            OrderCreated::TYPE => {
                facts.created += 1;
                facts.total = payload::<OrderCreated>(event)?.total.minor();
            }
            OrderConcluded::TYPE => facts.ends.push(End::Concluded),
            OrderFailed::TYPE => facts.ends.push(match payload::<OrderFailed>(event)?.why {
                FailureReason::PaymentDeclined => End::Declined,
                FailureReason::OutOfStock => End::OutOfStock,
                FailureReason::NotDeliverable => End::NotDeliverable,
            }),
            OrderCancelled::TYPE => {
                facts.ends.push(match payload::<OrderCancelled>(event)?.reason {
                    CancellationReason::Customer => End::Cancelled,
                    CancellationReason::Expired => End::Expired,
                })
            }
            BilledOrder::TYPE => {
                facts.billed += 1;
                facts.billed_minor += payload::<BilledOrder>(event)?.amount.minor();
            }
            PaymentRefunded::TYPE => {
                facts.refunded += 1;
                facts.refunded_minor += payload::<PaymentRefunded>(event)?.amount.minor();
            }
            OrderPrepared::TYPE => facts.prepared += 1,
            StockReleased::TYPE => facts.released += 1,
            OrderDelivered::TYPE => facts.delivered += 1,
            _ => {}
        }
        Ok(())
    }

    /// How many orders ended in each way; an order with two ends counts twice.
    pub fn ends(&self) -> BTreeMap<End, u64> {
        let mut ends = BTreeMap::new();
        for end in self.orders.values().flat_map(|facts| &facts.ends) {
            *ends.entry(*end).or_insert(0) += 1;
        }
        ends
    }

    /// How many orders have no end.
    pub fn unfinished(&self) -> u64 {
        self.orders.values().filter(|facts| facts.ends.is_empty()).count() as u64
    }

    /// The first order that ended in each way.
    pub fn examples(&self) -> BTreeMap<End, String> {
        let mut examples = BTreeMap::new();
        for (order, facts) in &self.orders {
            for end in &facts.ends {
                examples.entry(*end).or_insert_with(|| order.clone());
            }
        }
        examples
    }

    /// The laws, each with an order or a sum that breaks it.
    pub fn laws(&self, books: &Books) -> Vec<Law> {
        let sum = |of: fn(&Facts) -> u64| self.orders.values().map(of).sum::<u64>();
        let concluded: u64 =
            self.orders.values().filter(|f| f.is_concluded()).map(|f| f.total).sum();
        let (billed, refunded) = (sum(|f| f.billed_minor), sum(|f| f.refunded_minor));
        vec![
            self.each("every_order_has_one_end", |f| f.created == 1 && f.ends.len() == 1),
            Law::of(
                "money_kept_is_the_total_of_concluded_orders",
                books.captured.checked_sub(books.refunded) == Some(concluded),
                || {
                    format!(
                        "captured {} − refunded {} ≠ concluded {concluded}",
                        books.captured, books.refunded
                    )
                },
            ),
            Law::of(
                "accounts_agree_with_what_was_stated",
                (books.captured, books.refunded) == (billed, refunded),
                || {
                    format!(
                        "accounts say {}/{}, events {billed}/{refunded}",
                        books.captured, books.refunded
                    )
                },
            ),
            Law::of(
                "stock_is_available_or_shipped_and_none_is_reserved",
                books.stock.iter().all(|(put, available, reserved, shipped)| {
                    *reserved == 0 && available + shipped == *put
                }),
                || "an article's counters do not add up".to_owned(),
            ),
            self.each("concluded_is_charged_once_and_shipped_once", |f| {
                !f.is_concluded()
                    || (f.billed, f.refunded, f.prepared, f.released, f.delivered)
                        == (1, 0, 1, 0, 1)
                        && f.billed_minor == f.total
            }),
            self.each("nobody_is_charged_twice", |f| f.billed <= 1 && f.refunded <= f.billed),
            self.each("not_concluded_is_not_charged_reserved_or_shipped", |f| {
                f.is_concluded()
                    || f.delivered == 0
                        && f.billed == f.refunded
                        && f.billed_minor == f.refunded_minor
                        && f.prepared == f.released
            }),
        ]
    }

    fn each(&self, name: &'static str, holds: impl Fn(&Facts) -> bool) -> Law {
        let breaker = self.orders.iter().find(|(_, facts)| !holds(facts));
        Law { name, broken_by: breaker.map(|(order, facts)| format!("{order}: {facts:?}")) }
    }
}

impl Facts {
    fn is_concluded(&self) -> bool {
        self.ends.contains(&End::Concluded)
    }
}

/// A law, and what breaks it.
#[derive(Debug, Clone)]
pub struct Law {
    /// Its name.
    pub name: &'static str,
    /// An order or a sum that breaks it.
    pub broken_by: Option<String>,
}

impl Law {
    fn of(name: &'static str, holds: bool, breaker: impl FnOnce() -> String) -> Self {
        Self { name, broken_by: (!holds).then(breaker) }
    }

    /// Whether nothing breaks it.
    pub fn holds(&self) -> bool {
        self.broken_by.is_none()
    }
}

fn payload<E: DomainEvent>(event: &RecordedEvent) -> Result<E> {
    serde_json::from_slice(&event.payload)
        .with_context(|| format!("{} {} cannot be read", event.event_type, event.id))
}
