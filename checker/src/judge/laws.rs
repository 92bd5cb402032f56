//! The laws of the story, from the stored events by our own folding.

use std::collections::BTreeMap;

use serde_json::Value;

use super::orders::{Order, lines, number};
use crate::{
    evidence::{Event, Evidence},
    report::Invariant,
};

pub(super) fn all(evidence: &Evidence, orders: &BTreeMap<String, Order>) -> Vec<Invariant> {
    vec![
        each(
            orders,
            "law_concluded_once",
            "a concluded order is charged its total once and reserved, delivered and shipped once",
            |it| {
                let once = (it.prepared, it.released, it.delivered, it.shipped) == (1, 0, 1, 1);
                !it.is_concluded() || once && it.billed == [it.total] && it.refunded.is_empty()
            },
        ),
        each(
            orders,
            "law_not_concluded_leaves_nothing",
            "an order that is not concluded was not delivered, and what was charged or reserved for it is given back",
            |it| {
                let nothing = (it.delivered, it.shipped) == (0, 0);
                let back = it.billed == it.refunded && it.prepared == it.released;
                let most_once = it.billed.len() <= 1 && it.prepared <= 1;
                it.is_concluded() || nothing && back && most_once
            },
        ),
        money(evidence, orders),
        stock(evidence, orders),
    ]
}

fn each(
    orders: &BTreeMap<String, Order>,
    name: &'static str,
    says: &'static str,
    holds: impl Fn(&Order) -> bool,
) -> Invariant {
    let mut found = Invariant::new(name, says, "orders");
    for (key, order) in orders {
        found.demand(holds(order), || format!("{key}: {order:?}"));
    }
    found
}

/// A service's events of the streams of one category, by stream and version, with their payloads.
fn streams<'a>(
    evidence: &'a Evidence,
    service: &str,
    category: &str,
) -> BTreeMap<(&'a str, i64), (&'a Event, Value)> {
    let mut found = BTreeMap::new();
    let store = evidence.services.iter().find(|it| it.name == service).map(|it| &it.store);
    for event in store.iter().flat_map(|store| &store.events) {
        if event.stream.starts_with(category) {
            let payload = serde_json::from_slice(&event.payload).unwrap_or_default();
            found.insert((event.stream.as_str(), event.version), (event, payload));
        }
    }
    found
}

/// What the accounts' own movements come to.
fn money(evidence: &Evidence, orders: &BTreeMap<String, Order>) -> Invariant {
    let mut found = Invariant::new(
        "law_money",
        "per order the accounts' movements are what was stated; captured − refunded is the total of the concluded orders; no account is below zero",
        "movements",
    );
    let (mut captured, mut refunded) = (0, 0);
    let mut moved: BTreeMap<String, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
    let mut funds: BTreeMap<&str, i128> = BTreeMap::new();
    for ((stream, version), (event, payload)) in streams(evidence, "payment", "account/") {
        found.looked();
        let amount = number(&payload["amount"]["minor"]);
        let of = moved.entry(payload["order"].as_str().unwrap_or_default().to_owned());
        let left = funds.entry(stream).or_default();
        match event.event_type.as_str() {
            "account.funds_set" => *left = number(&payload["funds"]["minor"]).into(),
            "account.captured" => {
                captured += amount;
                *left -= i128::from(amount);
                of.or_default().0.push(amount);
            }
            "account.refunded" => {
                refunded += amount;
                *left += i128::from(amount);
                of.or_default().1.push(amount);
            }
            other => found.violated(format!("{stream} version {version} is {other}")),
        }
        if *left < 0 {
            found.violated(format!("{stream} version {version}: {left} is left"));
        }
    }
    for (key, order) in orders {
        let (billed, back) = moved.remove(key).unwrap_or_default();
        if (&billed, &back) != (&order.billed, &order.refunded) {
            let stated = (&order.billed, &order.refunded);
            found.violated(format!("{key}: {stated:?} stated, {:?} moved", (billed, back)));
        }
    }
    for key in moved.keys().filter(|key| !key.is_empty()) {
        found.violated(format!("money moved for {key}, of which nothing is known"));
    }
    let concluded: u64 = orders.values().filter(|it| it.is_concluded()).map(|it| it.total).sum();
    let kept = i128::from(captured) - i128::from(refunded);
    if kept != i128::from(concluded) {
        found
            .violated(format!("captured {captured} − refunded {refunded} ≠ concluded {concluded}"));
    }
    found
}

#[derive(Default)]
struct Stock {
    all: i128,
    available: i128,
    reserved: i128,
    shipped: i128,
}

impl Stock {
    fn apply(&mut self, event_type: &str, payload: &Value) -> bool {
        let n = i128::from(number(&payload["quantity"]));
        let (available, reserved, shipped) = match event_type {
            "stock.set" => {
                self.available = number(&payload["available"]).into();
                self.all = self.available + self.reserved + self.shipped;
                (0, 0, 0)
            }
            "stock.reserved" => (-n, n, 0),
            "stock.released" => (n, -n, 0),
            "stock.shipped" => (0, -n, n),
            _ => return false,
        };
        self.available += available;
        self.reserved += reserved;
        self.shipped += shipped;
        self.available >= 0 && self.reserved >= 0
    }
}

/// What the articles' own movements come to.
fn stock(evidence: &Evidence, orders: &BTreeMap<String, Order>) -> Invariant {
    let mut found = Invariant::new(
        "law_stock",
        "per article nothing is below zero at any time, nothing stays reserved, and what is shipped is what the concluded orders name; each reservation moves what its order states",
        "movements",
    );
    let mut articles: BTreeMap<&str, Stock> = BTreeMap::new();
    // What was reserved or released because of one event.
    let mut moved: BTreeMap<(&str, &str), BTreeMap<String, u64>> = BTreeMap::new();
    for ((stream, version), (event, payload)) in streams(evidence, "inventory", "stock/") {
        found.looked();
        let article = articles.entry(stream).or_default();
        if !article.apply(&event.event_type, &payload) {
            found.violated(format!(
                "{stream} version {version}: {} takes too much",
                event.event_type
            ));
        }
        let sku = stream.trim_start_matches("stock/").to_owned();
        let of = moved.entry((&event.event_type, &event.causation)).or_default();
        *of.entry(sku).or_default() += number(&payload["quantity"]);
    }
    for ((_, _), (event, payload)) in streams(evidence, "inventory", "participation/") {
        let movement = match event.event_type.as_str() {
            "ORDER_PREPARED" => "stock.reserved",
            "STOCK_RELEASED" => "stock.released",
            _ => continue,
        };
        found.looked();
        let stated = lines(&payload);
        let actual = moved.get(&(movement, event.causation.as_str())).cloned().unwrap_or_default();
        if stated != actual {
            let stream = &event.stream;
            found.violated(format!("{stream}: {stated:?} stated, {actual:?} in {movement}"));
        }
    }
    let mut shipped: BTreeMap<String, u64> = BTreeMap::new();
    for (sku, n) in orders.values().filter(|it| it.is_concluded()).flat_map(|it| &it.lines) {
        *shipped.entry(sku.clone()).or_default() += n;
    }
    for (stream, article) in articles {
        let Stock { all, available, reserved, shipped: gone } = article;
        let sku = stream.trim_start_matches("stock/");
        let expected = i128::from(shipped.remove(sku).unwrap_or_default());
        if reserved != 0 || all != available + reserved + gone || gone != expected {
            found.violated(format!(
                "{stream}: {all} = {available} available + {reserved} reserved + {gone} shipped; concluded orders name {expected}"
            ));
        }
    }
    for (sku, n) in shipped {
        found.violated(format!("{n} of {sku} are concluded, and there is no such article"));
    }
    found
}
