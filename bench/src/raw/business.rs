//! What the four services decide, on state in memory. Each writes the rows that the toolkit's service writes.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use order::{PlaceOrder, TimeIsUp};
use quadrille::DomainEvent;
use schemas::{
    BilledOrder, CustomerId, Money, OrderConcluded, OrderCreated, OrderDelivered, OrderLines,
    OrderPrepared,
};
use serde::Serialize;
use serde_json::{from_slice, to_vec};

use uuid::Uuid;

use super::{consumer::Message, service::Out};

/// What one service does.
pub(crate) trait Business: Send + 'static {
    const NAME: &'static str;
    const SOURCES: &'static [&'static str];

    /// Whether the message changes anything here: then its participation's stream must be looked up, unless
    /// it is known.
    fn acts_on(&self, event_type: &str) -> bool;

    /// Whether the participation of this key is in memory.
    fn knows(&self, _key: &str) -> bool {
        false
    }

    /// Decides a message. `there` says that its participation's stream exists already.
    fn message(&mut self, message: &Message, there: bool, out: &mut Out<'_>) -> Result<()>;

    /// Decides a command.
    fn command(&mut self, _: PlaceOrder, _: &mut Out<'_>) -> Result<()> {
        bail!("{} takes no commands", Self::NAME)
    }
}

fn participation(key: &str) -> String {
    format!("participation/{key}")
}

/// Places orders, and concludes them.
#[derive(Default)]
pub(crate) struct Orders {
    /// With the deadline of each.
    open: HashMap<String, (CustomerId, Money, Uuid)>,
}

#[derive(Serialize)]
struct StepDone<'a> {
    saga: String,
    step: &'static str,
    key: &'a str,
    by: String,
}

impl Business for Orders {
    const NAME: &'static str = "order";
    const SOURCES: &'static [&'static str] = &["inventory", "payment", "shipping"];

    fn acts_on(&self, event_type: &str) -> bool {
        event_type == OrderDelivered::TYPE
    }

    fn message(&mut self, message: &Message, there: bool, out: &mut Out<'_>) -> Result<()> {
        ensure!(!there, "{} was concluded before", message.key);
        let OrderDelivered { order } = from_slice(&message.payload)?;
        let (customer, total, deadline) =
            self.open.remove(&message.key).context("no such order")?;
        out.clear(deadline);
        let stream = format!("order/{order}");
        let concluded = OrderConcluded { order, customer, total };
        out.public(stream, 2, OrderConcluded::TYPE, &message.key, to_vec(&concluded)?);
        let (saga, by) = (message.saga.to_string(), message.id.to_string());
        let done = StepDone { saga, step: OrderConcluded::TYPE, key: &message.key, by };
        out.private(participation(&message.key), 1, "quadrille.step_done", to_vec(&done)?);
        Ok(())
    }

    fn command(&mut self, command: PlaceOrder, out: &mut Out<'_>) -> Result<()> {
        let PlaceOrder { order, customer, account, lines, destination, finish_within } = command;
        let (key, total) = (order.to_string(), lines.total());
        ensure!(!self.open.contains_key(&key), "{key} was placed before");
        let up = to_vec(&TimeIsUp { order: order.clone() })?;
        let deadline = out.deadline(finish_within, &key, up);
        self.open.insert(key.clone(), (customer.clone(), total, deadline));
        let created = OrderCreated { order, customer, account, lines, total, destination };
        out.public(format!("order/{key}"), 1, OrderCreated::TYPE, &key, to_vec(&created)?);
        Ok(())
    }
}

/// Charges accounts.
pub(crate) struct Payment {
    /// Version, funds and what was captured.
    accounts: HashMap<String, (i64, u64, u64)>,
}

impl Payment {
    /// With accounts that have one event each.
    pub(crate) fn with(accounts: impl Iterator<Item = (String, u64)>) -> Self {
        Self { accounts: accounts.map(|(account, funds)| (account, (1, funds, 0))).collect() }
    }
}

impl Business for Payment {
    const NAME: &'static str = "payment";
    const SOURCES: &'static [&'static str] = &["inventory", "order", "shipping"];

    fn acts_on(&self, event_type: &str) -> bool {
        event_type == OrderCreated::TYPE
    }

    fn message(&mut self, message: &Message, there: bool, out: &mut Out<'_>) -> Result<()> {
        ensure!(!there, "{} was billed before", message.key);
        let OrderCreated { order, account, total, lines, destination, .. } =
            from_slice(&message.payload)?;
        let (version, funds, captured) =
            self.accounts.get_mut(&*account.to_string()).context("no such account")?;
        *funds = funds.checked_sub(total.minor()).context("not enough funds")?;
        *captured += total.minor();
        *version += 1;
        let capture = payment::Captured { order: order.clone(), amount: total };
        out.private(
            format!("account/{account}"),
            *version,
            payment::Captured::TYPE,
            to_vec(&capture)?,
        );
        let billed = BilledOrder { order, account, amount: total, lines, destination };
        let stream = participation(&message.key);
        out.public(stream, 1, BilledOrder::TYPE, &message.key, to_vec(&billed)?);
        Ok(())
    }
}

/// Reserves and ships stock.
pub(crate) struct Inventory {
    /// Version, available, reserved and shipped.
    stock: HashMap<String, (i64, u64, u64, u64)>,
    prepared: HashMap<String, OrderLines>,
}

impl Inventory {
    /// With articles that have one event each.
    pub(crate) fn with(stock: impl Iterator<Item = (String, u64)>) -> Self {
        let stock = stock.map(|(sku, available)| (sku, (1, available, 0, 0))).collect();
        Self { stock, prepared: HashMap::new() }
    }

    fn reserve(&mut self, message: &Message, out: &mut Out<'_>) -> Result<()> {
        let BilledOrder { order, lines, destination, .. } = from_slice(&message.payload)?;
        for line in lines.iter() {
            let quantity = u64::from(line.quantity.get());
            let (version, available, reserved, _) =
                self.stock.get_mut(&*line.sku.to_string()).context("no such article")?;
            *available = available.checked_sub(quantity).context("out of stock")?;
            *reserved += quantity;
            *version += 1;
            let event = inventory::Reserved { quantity: line.quantity };
            let stream = format!("stock/{}", line.sku);
            out.private(stream, *version, inventory::Reserved::TYPE, to_vec(&event)?);
        }
        self.prepared.insert(message.key.clone(), lines.clone());
        let prepared = OrderPrepared { order, lines, destination };
        let stream = participation(&message.key);
        out.public(stream, 1, OrderPrepared::TYPE, &message.key, to_vec(&prepared)?);
        Ok(())
    }

    fn ship(&mut self, message: &Message, out: &mut Out<'_>) -> Result<()> {
        let lines = self.prepared.remove(&message.key).context("nothing is reserved")?;
        for line in lines.iter() {
            let quantity = u64::from(line.quantity.get());
            let (version, _, reserved, shipped) =
                self.stock.get_mut(&*line.sku.to_string()).context("no such article")?;
            *reserved = reserved.checked_sub(quantity).context("nothing is reserved")?;
            *shipped += quantity;
            *version += 1;
            let event = inventory::Shipped { quantity: line.quantity };
            let stream = format!("stock/{}", line.sku);
            out.private(stream, *version, inventory::Shipped::TYPE, to_vec(&event)?);
        }
        let event = inventory::ReservationShipped {};
        let stream = participation(&message.key);
        out.private(stream, 2, inventory::ReservationShipped::TYPE, to_vec(&event)?);
        Ok(())
    }
}

impl Business for Inventory {
    const NAME: &'static str = "inventory";
    const SOURCES: &'static [&'static str] = &["payment", "shipping"];

    fn acts_on(&self, event_type: &str) -> bool {
        event_type == BilledOrder::TYPE || event_type == OrderDelivered::TYPE
    }

    fn knows(&self, key: &str) -> bool {
        self.prepared.contains_key(key)
    }

    fn message(&mut self, message: &Message, there: bool, out: &mut Out<'_>) -> Result<()> {
        if message.event_type == OrderDelivered::TYPE {
            return self.ship(message, out);
        }
        ensure!(!there, "{} was prepared before", message.key);
        self.reserve(message, out)
    }
}

/// Delivers everywhere.
#[derive(Default)]
pub(crate) struct Shipping;

impl Business for Shipping {
    const NAME: &'static str = "shipping";
    const SOURCES: &'static [&'static str] = &["inventory", "order"];

    fn acts_on(&self, event_type: &str) -> bool {
        event_type == OrderPrepared::TYPE
    }

    fn message(&mut self, message: &Message, there: bool, out: &mut Out<'_>) -> Result<()> {
        ensure!(!there, "{} was delivered before", message.key);
        let OrderPrepared { order, .. } = from_slice(&message.payload)?;
        let stream = participation(&message.key);
        let delivered = OrderDelivered { order };
        out.public(stream, 1, OrderDelivered::TYPE, &message.key, to_vec(&delivered)?);
        Ok(())
    }
}
