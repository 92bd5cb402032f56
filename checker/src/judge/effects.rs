//! What each consumed event must have caused, once. The demo's story, as its contract tells it.

use std::collections::BTreeMap;

use crate::{
    evidence::{Event, Evidence},
    report::Invariant,
};

/// A consumed type, and the events of which the consumer records so many because of it.
struct Rule {
    consumer: &'static str,
    source: &'static str,
    consumes: &'static str,
    records: &'static [&'static str],
    least: usize,
}

const fn rule(
    consumer: &'static str,
    source: &'static str,
    consumes: &'static str,
    records: &'static [&'static str],
    least: usize,
) -> Rule {
    Rule { consumer, source, consumes, records, least }
}

const SUSPENDED: &str = "quadrille.step_suspended";
const FORESTALLED: &str = "quadrille.step_forestalled";
const REFUND: &[&str] = &["PAYMENT_REFUNDED", FORESTALLED];
const RELEASE: &[&str] = &["STOCK_RELEASED", FORESTALLED];
const END: &[&str] = &["ORDER_FAILED", "ORDER_CANCELLED", "ORDER_CONCLUDED"];

/// At most one of `records` each time, and at least `least`. An action has an answer of its own; a
/// compensation may find nothing to undo, and an order that has ended absorbs what comes later.
const RULES: &[Rule] = &[
    rule("payment", "order", "ORDER_CREATED", &["BILLED_ORDER", "PAYMENT_DECLINED", SUSPENDED], 1),
    rule("payment", "inventory", "PRODUCT_OUT_OF_STOCK", REFUND, 0),
    rule("payment", "shipping", "SHIPMENT_FAILED", REFUND, 0),
    rule("payment", "shipping", "SHIPMENT_CANCELLED", REFUND, 0),
    rule(
        "inventory",
        "payment",
        "BILLED_ORDER",
        &["ORDER_PREPARED", "PRODUCT_OUT_OF_STOCK", SUSPENDED],
        1,
    ),
    rule("inventory", "shipping", "ORDER_DELIVERED", &["reservation.shipped"], 1),
    rule("inventory", "shipping", "SHIPMENT_FAILED", RELEASE, 0),
    rule("inventory", "shipping", "SHIPMENT_CANCELLED", RELEASE, 0),
    rule(
        "shipping",
        "inventory",
        "ORDER_PREPARED",
        &["ORDER_DELIVERED", "SHIPMENT_FAILED", SUSPENDED],
        1,
    ),
    rule(
        "shipping",
        "order",
        "ORDER_CANCELLATION_REQUESTED",
        &["SHIPMENT_CANCELLED", "CANCELLATION_REFUSED"],
        // A shipment that has failed before has nothing to cancel.
        0,
    ),
    rule("order", "payment", "PAYMENT_DECLINED", END, 0),
    rule("order", "inventory", "PRODUCT_OUT_OF_STOCK", END, 0),
    rule("order", "shipping", "SHIPMENT_FAILED", END, 0),
    rule("order", "shipping", "ORDER_DELIVERED", &["ORDER_CONCLUDED"], 1),
    rule("order", "shipping", "SHIPMENT_CANCELLED", END, 0),
    rule("order", "shipping", "CANCELLATION_REFUSED", END, 0),
];

/// Whether a service reads another's topic.
pub(super) fn reads(consumer: &str, source: &str) -> bool {
    RULES.iter().any(|rule| rule.consumer == consumer && rule.source == source)
}

pub(super) fn once(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "each_record_applied_once",
        "each consumed event has its effects in its consumer's store, once",
        "consumed events",
    );
    let store = |name: &str| evidence.services.iter().find(|service| service.name == name);
    let mut effects: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
    for service in &evidence.services {
        for event in &service.store.events {
            effects.entry((&service.name, &event.causation)).or_default().push(event);
        }
    }
    for rule in RULES {
        let Some(source) = store(rule.source) else { continue };
        let consumed = source.store.events.iter().filter(|it| it.event_type == rule.consumes);
        for cause in consumed.filter(|event| event.place.is_some()) {
            let id = cause.id.to_string();
            let caused = effects.get(&(rule.consumer, id.as_str())).map_or(&[][..], Vec::as_slice);
            let count = caused.iter().filter(|e| rule.records.contains(&&*e.event_type)).count();
            let Rule { consumer, consumes, records, least, .. } = rule;
            found.demand((*least..=1).contains(&count), || {
                let key = cause.place.as_ref().map_or("", |place| &place.key);
                format!("{consumer} applied {consumes} {id} of {key} {count} times: {records:?}")
            });
            for twice in repeated(caused) {
                found.violated(format!("{consumer} applied {consumes} {id} twice: {twice}"));
            }
        }
    }
    found
}

/// What one append records in one stream has versions without a hole; a second one would leave its own.
fn repeated(caused: &[&Event]) -> Vec<String> {
    let mut streams: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in caused {
        streams.entry(&event.stream).or_default().push(event.version);
    }
    let mut apart = vec![];
    for (stream, mut versions) in streams {
        versions.sort_unstable();
        if versions.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            apart.push(format!("{stream} versions {versions:?}"));
        }
    }
    apart
}
