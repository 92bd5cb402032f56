//! What customers do.

use std::time::Duration;

use inventory::{Inventory, SetStock};
use order::{CancelOrder, Orders, PlaceOrder};
use payment::{Payment, SetFunds};
use quadrille::testing::{
    Simulation,
    simulation::{Actor, Dice, FaultKind, Faults, Outside},
};
use schemas::{AccountId, CancellationReason, Money, OrderId, OrderLine, OrderLines, Sku};
use shipping::Shipping;

use crate::{
    gateway, laws,
    parcels::{self, CARRIER, Tracking},
    person,
};

/// Orders of one run.
const ORDERS: usize = 8;
/// Instances of each service.
const INSTANCES: usize = 2;
/// Articles, and how many of each are there at first: the last orders may find none left.
pub(crate) const SKUS: u64 = 2;
pub(crate) const EACH: u64 = 12;
/// Accounts that can pay some orders.
const ACCOUNTS: u64 = 3;
const FUNDS_MINOR: u64 = 40_000;
/// An account that can pay nothing; an article that is never there; a country that no carrier serves.
const POOR_ACCOUNT: &str = "account-poor";
const NEVER_IN_STOCK: &str = "sku-none";
const NOT_SERVED: &str = "AQ";

/// The story as `cargo xtask sim` runs it.
#[must_use]
pub fn story() -> Simulation {
    story_of(ORDERS, INSTANCES).replayed_by("cargo xtask sim --replay {}")
}

/// The story with so many orders, and so many instances of each service.
#[must_use]
pub fn story_of(orders: usize, instances: usize) -> Simulation {
    let story = services(instances, payment)
        .service(1, || Tracking)
        .foreign(CARRIER, 2)
        .sagas(orders)
        .prepare(prepare)
        .saga(customer);
    laws::all(person::looks_after(story)).law("each scan is noted once, in order", laws::scans).law(
        "what is asked once is done once at most, and done when it is answered",
        laws::weighings,
    )
}

fn services<F>(instances: usize, payment: F) -> Simulation
where
    F: Fn(&Outside) -> Payment + Send + Sync + 'static,
{
    Simulation::new()
        .service(instances, || Orders)
        .service_in(instances, payment)
        .service(instances, || Inventory)
        .service(instances, Shipping::default)
        .performers::<Payment>(gateway::performers)
}

/// Two of three runs charge through the gateway.
fn payment(outside: &Outside) -> Payment {
    match outside.dice("charging").below(3) {
        0 => Payment::default(),
        _ => through_the_gateway(),
    }
}

/// Its performers never call this address: the simulation's stand in for them.
fn through_the_gateway() -> Payment {
    Payment::through("http://gateway.simulated".parse().unwrap_or_else(|e| panic!("{e}")))
}

/// One order that is placed and cancelled while it is on its way, for the bounded search: every fault of a
/// port is in it, handlers do not fail by themselves.
#[must_use]
pub fn one_order(instances: usize, charging: Charged) -> Simulation {
    let faults =
        Faults::default().with(FaultKind::HandlerFailure, 0.0).with(FaultKind::HandlerDeath, 0.0);
    let payment = move |_: &Outside| match charging {
        Charged::Here => Payment::default(),
        Charged::Outside => through_the_gateway(),
    };
    let simulation = services(instances, payment).lanes(1).sagas(1).faults(faults);
    let simulation = simulation.prepare(prepare_one).saga(one_customer);
    laws::all(person::looks_after(simulation)).replayed_by("cargo xtask sim --replay {}")
}

/// Where the one order of the bounded search is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// To an account of the payment service.
    Here,
    /// Through the gateway: an effect.
    Outside,
}

async fn prepare_one(actor: Actor) {
    let funds = SetFunds { funds: money(FUNDS_MINOR) };
    let set = actor.at::<Payment>().execute(&id("account-0"), funds).await;
    assert!(set.is_ok(), "{set:?}");
    let set = actor.at::<Inventory>().execute(&id("sku-0"), SetStock { available: EACH }).await;
    assert!(set.is_ok(), "{set:?}");
}

async fn one_customer(actor: Actor, saga: usize) {
    let order = order_of(saga);
    let place = PlaceOrder {
        order: order.clone(),
        customer: id("customer-0"),
        account: id("account-0"),
        lines: OrderLines::try_from(vec![line("sku-0", 1, 100)])
            .unwrap_or_else(|error| panic!("the lines: {error}")),
        destination: id("NL"),
        finish_within: order::FINISH_WITHIN,
    };
    let placed = actor.at::<Orders>().execute(&order, place).await;
    assert!(placed.is_ok(), "{order}: {placed:?}");
    let cancel = CancelOrder { reason: CancellationReason::Customer };
    let _ = actor.at::<Orders>().execute(&order, cancel).await;
}

/// Fills the accounts and the shelves.
async fn prepare(actor: Actor) {
    for account in accounts() {
        let funds = SetFunds { funds: funds_of(&account) };
        let set = actor.at::<Payment>().execute(&account, funds).await;
        assert!(set.is_ok(), "{account}: {set:?}");
    }
    for sku in skus() {
        let set = actor.at::<Inventory>().execute(&sku, SetStock { available: EACH }).await;
        assert!(set.is_ok(), "{sku}: {set:?}");
    }
}

pub(crate) fn accounts() -> Vec<AccountId> {
    let names = (0..ACCOUNTS).map(|n| format!("account-{n}"));
    names.chain([POOR_ACCOUNT.to_owned()]).map(|name| id(&name)).collect()
}

/// What an account has at first, here or at the gateway.
pub(crate) fn funds_of(account: &AccountId) -> Money {
    money(if account.to_string() == POOR_ACCOUNT { 1 } else { FUNDS_MINOR })
}

pub(crate) fn skus() -> Vec<Sku> {
    (0..SKUS).map(|n| id(&format!("sku-{n}"))).collect()
}

/// The order of a saga.
pub(crate) fn order_of(saga: usize) -> OrderId {
    id(&format!("order-{saga}"))
}

/// Places an order; some want it cancelled before long, and some lose their patience after half an hour.
async fn customer(actor: Actor, saga: usize) {
    buy(&actor, saga).await;
    parcels::weigh(&actor, saga).await;
}

async fn buy(actor: &Actor, saga: usize) {
    let mut dice = actor.dice("order");
    let order = order_of(saga);
    let place = placement(&order, &mut dice);
    let placed = actor.at::<Orders>().execute(&order, place).await;
    assert!(placed.is_ok(), "{order}: {placed:?}");
    parcels::scan(actor, saga);
    let (after, reason) = match dice.below(10) {
        0..3 => (Duration::from_millis(dice.below(60)), CancellationReason::Customer),
        3..5 => (Duration::from_millis(dice.below(8_000)), CancellationReason::Customer),
        5 => (Duration::from_millis(dice.below(2_000)), CancellationReason::Expired),
        _ => return,
    };
    actor.sleep(after).await;
    // It may have ended already: a refusal is an answer too.
    let _ = actor.at::<Orders>().execute(&order, CancelOrder { reason }).await;
}

fn placement(order: &OrderId, dice: &mut Dice) -> PlaceOrder {
    let kind = dice.below(10);
    let account = match kind {
        0 => POOR_ACCOUNT.to_owned(),
        _ => format!("account-{}", dice.below(ACCOUNTS)),
    };
    let first = match kind {
        1 => NEVER_IN_STOCK.to_owned(),
        _ => format!("sku-{}", dice.below(SKUS)),
    };
    let mut lines = vec![line(&first, dice.between(1, 4), dice.between(100, 5_000))];
    if dice.below(3) == 0 {
        lines.push(line(&format!("sku-{}", dice.below(SKUS)), 1, dice.between(100, 900)));
    }
    // Some have so little time that it is over while they are under way.
    let finish_within = match dice.below(4) {
        0 => Duration::from_millis(dice.between(1, 3_000)),
        _ => order::FINISH_WITHIN,
    };
    PlaceOrder {
        order: order.clone(),
        customer: id(&format!("customer-{order}")),
        account: id(&account),
        lines: OrderLines::try_from(lines).unwrap_or_else(|e| panic!("the lines: {e}")),
        destination: id(if kind == 2 { NOT_SERVED } else { "NL" }),
        finish_within,
    }
}

fn line(sku: &str, quantity: u64, minor: u64) -> OrderLine {
    let quantity = u32::try_from(quantity).ok().and_then(std::num::NonZero::new);
    let quantity = quantity.unwrap_or(std::num::NonZero::<u32>::MIN);
    OrderLine { sku: id(sku), quantity, price: money(minor) }
}

pub(crate) fn money(minor: u64) -> Money {
    Money::new(minor, id("EUR")).unwrap_or_else(|e| panic!("an amount of the story: {e}"))
}

/// An id of the story's own.
fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Display,
{
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}
