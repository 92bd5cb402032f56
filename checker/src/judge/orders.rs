//! Every saga at an end; and the facts of each order, folded from what the services recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use crate::{
    evidence::{Event, Evidence},
    report::Invariant,
};

/// What is known of one order.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) created: u32,
    pub(super) total: u64,
    /// How many of each article.
    pub(super) lines: BTreeMap<String, u64>,
    pub(super) ends: Vec<String>,
    pub(super) billed: Vec<u64>,
    pub(super) refunded: Vec<u64>,
    pub(super) prepared: u32,
    pub(super) released: u32,
    pub(super) delivered: u32,
    pub(super) shipped: u32,
}

impl Order {
    pub(super) fn is_concluded(&self) -> bool {
        self.ends.iter().any(|end| end == "concluded")
    }
}

pub(super) struct Orders {
    pub(super) ended: Invariant,
    pub(super) orders: BTreeMap<String, Order>,
}

pub(super) fn gather(evidence: &Evidence) -> Orders {
    let mut ended = Invariant::new(
        "every_saga_at_an_end",
        "each saga that placed an order belongs to that order alone, and has one end",
        "sagas",
    );
    let mut orders: BTreeMap<String, Order> = BTreeMap::new();
    let mut sagas: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for event in evidence.services.iter().flat_map(|service| &service.store.events) {
        let Some(key) = key(event) else { continue };
        sagas.entry(event.saga).or_default().insert(key.to_owned());
        let payload = match serde_json::from_slice(&event.payload) {
            Ok(payload) => payload,
            Err(error) => {
                ended.violated(format!("{} {}: {error}", event.event_type, event.id));
                Value::Null
            }
        };
        note(orders.entry(key.to_owned()).or_default(), event, &payload);
    }
    for (saga, keys) in &sagas {
        ended.looked();
        if keys.len() > 1 {
            ended.violated(format!("the saga {saga} has several orders: {keys:?}"));
        }
        for key in keys {
            let ends = &orders[key].ends;
            if ends.len() != 1 {
                ended.violated(format!(
                    "the saga {saga} of {key} has {} ends: {ends:?}",
                    ends.len()
                ));
            }
        }
    }
    if sagas.len() != orders.len() {
        let (sagas, orders) = (sagas.len(), orders.len());
        ended.violated(format!("{orders} orders in {sagas} sagas"));
    }
    Orders { ended, orders }
}

/// The order that an event is about: public ones are published under it, and the steps' own stream is named
/// by it.
fn key(event: &Event) -> Option<&str> {
    match &event.place {
        Some(place) => Some(&place.key),
        None => event.stream.strip_prefix("participation/"),
    }
}

fn note(order: &mut Order, event: &Event, payload: &Value) {
    match event.event_type.as_str() {
        "ORDER_CREATED" => {
            order.created += 1;
            order.total = number(&payload["total"]["minor"]);
            order.lines = lines(payload);
        }
        "ORDER_CONCLUDED" => order.ends.push("concluded".to_owned()),
        "ORDER_FAILED" => order.ends.push(format!("failed: {}", payload["why"])),
        "ORDER_CANCELLED" => order.ends.push(format!("cancelled: {}", payload["reason"])),
        "BILLED_ORDER" => order.billed.push(number(&payload["amount"]["minor"])),
        "PAYMENT_REFUNDED" => order.refunded.push(number(&payload["amount"]["minor"])),
        "ORDER_PREPARED" => order.prepared += 1,
        "STOCK_RELEASED" => order.released += 1,
        "ORDER_DELIVERED" => order.delivered += 1,
        "reservation.shipped" => order.shipped += 1,
        _ => {}
    }
}

/// How many of each article a payload's lines name.
pub(super) fn lines(payload: &Value) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    for line in payload["lines"].as_array().into_iter().flatten() {
        let sku = line["sku"].as_str().unwrap_or_default();
        *lines.entry(sku.to_owned()).or_default() += number(&line["quantity"]);
    }
    lines
}

/// A number that is not one becomes one that no sum agrees with.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::from(u32::MAX))
}
