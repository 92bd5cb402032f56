//! The laws of the story: they must hold whenever all is quiet.

use std::collections::BTreeMap;

use inventory::{Inventory, Stock};
use order::{Order, Orders};
use payment::{Account, Payment};
use quadrille::{
    DomainEvent,
    testing::{Simulation, simulation::View},
};
use schemas::{
    BilledOrder, OrderCancelled, OrderConcluded, OrderCreated, OrderDelivered, OrderFailed,
    OrderPrepared, PaymentRefunded, StockReleased,
};

use crate::{
    gateway::Books,
    parcels::{Answered, Parcel, Scans, Tracking, parcel_of},
    story::{EACH, accounts, funds_of, order_of, skus},
};

/// Adds them to a simulation of the story.
#[must_use]
pub fn all(simulation: Simulation) -> Simulation {
    simulation
        .law("every order has one end", one_end)
        .law("what is kept of captured money is the total of the concluded orders", money)
        .law("what is not on the shelf was shipped, and nothing is reserved", stock)
        .law("the gateway charges no order twice, and its books come out", gateway)
        .law("concluded is charged once and shipped once, all else not at all", effects)
}

/// How often each type of event was stated of an order.
type Counts = BTreeMap<String, u64>;

fn counts(view: &View) -> BTreeMap<String, Counts> {
    let mut orders: BTreeMap<String, Counts> = BTreeMap::new();
    for (_, event) in view.stated() {
        let Some(published) = &event.published else { continue };
        let counts = orders.entry(published.key.to_string()).or_default();
        *counts.entry(event.event_type.to_string()).or_default() += 1;
    }
    orders
}

fn count<E: DomainEvent>(counts: &Counts) -> u64 {
    counts.get(E::TYPE).copied().unwrap_or(0)
}

fn orders(view: &View) -> Vec<(String, Order)> {
    let placed = |n: &usize| {
        let order = order_of(*n);
        Some((order.to_string(), view.load::<Orders, Order>(&order)?))
    };
    view.sagas().iter().filter_map(placed).collect()
}

fn one_end(view: &View) -> Result<(), String> {
    let counts = counts(view);
    for (order, state) in orders(view) {
        let of = counts.get(&order).cloned().unwrap_or_default();
        let ends =
            count::<OrderConcluded>(&of) + count::<OrderFailed>(&of) + count::<OrderCancelled>(&of);
        if count::<OrderCreated>(&of) != 1 || ends != 1 || state.end().is_none() {
            return Err(format!("{order} is {:?}, and of it was stated {of:?}", state.status()));
        }
    }
    Ok(())
}

fn money(view: &View) -> Result<(), String> {
    let kept: u64 = accounts()
        .iter()
        .filter_map(|account| view.load::<Payment, Account>(account)?.balance())
        .map(|balance| balance.captured.minor() - balance.refunded.minor())
        .sum();
    let kept = kept + view.outside(Books::kept);
    let concluded: u64 = orders(view)
        .iter()
        .filter(|(_, order)| order.end() == Some(order::End::Concluded))
        .filter_map(|(_, order)| order.placed())
        .map(|placed| placed.total.minor())
        .sum();
    if kept == concluded {
        return Ok(());
    }
    Err(format!("{kept} was captured and not refunded, the concluded orders come to {concluded}"))
}

fn gateway(view: &View) -> Result<(), String> {
    let books = view.outside(Books::clone);
    let mut charged = BTreeMap::new();
    for charge in books.charges.values().filter(|charge| charge.missing.is_none()) {
        if charged.insert(charge.order.clone(), charge.amount).is_some() {
            return Err(format!("{} was charged twice", charge.order));
        }
    }
    let mut refunded = BTreeMap::new();
    for refund in books.refunds.values() {
        if refunded.insert(refund.clone(), ()).is_some() {
            return Err(format!("{refund} was refunded twice"));
        }
    }
    let first: u64 = accounts().iter().map(|account| funds_of(account).minor()).sum();
    let (left, kept) = (books.funds.values().sum::<u64>(), books.kept());
    if left + kept != first {
        return Err(format!("of {first} the accounts have {left}, and {kept} is kept"));
    }
    for (order, state) in orders(view).iter().filter(|(order, _)| charged.contains_key(order)) {
        let given_back = refunded.keys().filter_map(|charge| books.charges.get(charge));
        let given_back = given_back.filter(|charge| charge.order == *order).count();
        let concluded = state.end() == Some(order::End::Concluded);
        if usize::from(!concluded) != given_back {
            return Err(format!(
                "{order} is {:?}; the gateway has charged it, and refunded it {given_back} times",
                state.status()
            ));
        }
    }
    Ok(())
}

/// Once each, in the order of the carrier, whatever was repeated, parked or dead.
pub(crate) fn scans(view: &View) -> Result<(), String> {
    let orders =
        view.sagas().iter().filter(|n| view.load::<Orders, Order>(&order_of(**n)).is_some());
    for saga in orders {
        let wanted = Scans::drawn(view.dice(&format!("saga {saga}"), "scans")).readable();
        let noted = view.load::<Tracking, Parcel>(&parcel_of(*saga)).unwrap_or_default().scans;
        if noted != wanted {
            return Err(format!("of parcel {saga} the scans {noted:?} are noted, not {wanted:?}"));
        }
    }
    Ok(())
}

pub(crate) fn weighings(view: &View) -> Result<(), String> {
    let answered = view.outside(|answered: &Answered| answered.0.clone());
    for (parcel, Parcel { mut weighings, .. }) in view.all::<Tracking, Parcel>() {
        let count = weighings.len();
        weighings.sort_unstable();
        weighings.dedup();
        let lost = answered.iter().find(|(of, nth)| *of == parcel && !weighings.contains(nth));
        if count != weighings.len() || lost.is_some() {
            return Err(format!(
                "{parcel} was weighed {count} times: {weighings:?}; lost: {lost:?}"
            ));
        }
    }
    Ok(())
}

fn stock(view: &View) -> Result<(), String> {
    for sku in skus() {
        let Some(Stock { available, reserved, shipped, .. }) = view.load::<Inventory, _>(&sku)
        else {
            continue;
        };
        if reserved != 0 || available + shipped != EACH {
            return Err(format!(
                "of {EACH} {sku} {available} are available, {reserved} reserved, {shipped} shipped"
            ));
        }
    }
    Ok(())
}

fn effects(view: &View) -> Result<(), String> {
    for (order, of) in counts(view) {
        let (billed, refunded) = (count::<BilledOrder>(&of), count::<PaymentRefunded>(&of));
        let (prepared, released) = (count::<OrderPrepared>(&of), count::<StockReleased>(&of));
        let delivered = count::<OrderDelivered>(&of);
        let holds = match count::<OrderConcluded>(&of) {
            0 => billed == refunded && prepared == released && delivered == 0 && billed <= 1,
            _ => (billed, refunded, prepared, released, delivered) == (1, 0, 1, 0, 1),
        };
        if !holds {
            return Err(format!("of {order} was stated {of:?}"));
        }
    }
    Ok(())
}
