//! The committed JSON Schemas are those of the types, and the types read what they write.

use std::{fs, path::PathBuf};

use quadrille::DomainEvent;
use schemas::*;
use serde_json::{Value, json};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("json")
}

fn committed() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_committed_schemas_are_current() {
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    let mut expected = vec![];
    for event in public_events() {
        let schema = (event.schema)().expect("a public event has a schema");
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let name = format!("{}.json", event.event_type);
        let path = directory().join(&name);
        expected.push(name);
        if update {
            fs::write(&path, &text).unwrap();
        }
        // As values: the order of keys is a matter of the features that a build turns on.
        let found: Option<Value> =
            fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
        assert_eq!(
            found,
            Some(schema.to_value()),
            "{} is not current: run `UPDATE_SCHEMAS=1 cargo test -p schemas`",
            event.event_type
        );
    }
    expected.sort();
    assert_eq!(committed(), expected, "a schema without its event, or the other way round");
}

/// Reads the payload, states it again, and looks whether it is the same, keyed by its order.
fn round_trip<E: DomainEvent>(payload: Value) -> &'static str {
    let event: E = serde_json::from_value(payload.clone()).unwrap();
    assert_eq!(serde_json::to_value(&event).unwrap(), payload, "{}", E::TYPE);
    assert_eq!(event.key().as_deref(), Some("o-1"), "{}", E::TYPE);
    for field in payload.as_object().unwrap().keys() {
        let mut less = payload.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(serde_json::from_value::<E>(less).is_err(), "{} without {field}", E::TYPE);
    }
    E::TYPE
}

#[test]
fn every_event_reads_what_it_writes_and_needs_every_field() {
    let five = json!({ "minor": 500, "currency": "EUR" });
    let lines = json!([{ "sku": "tea", "quantity": 1, "price": five }]);
    let tried = [
        round_trip::<OrderCreated>(json!({
            "order": "o-1", "customer": "c-1", "account": "a-1", "lines": lines, "total": five,
            "destination": "FR",
        })),
        round_trip::<OrderCancellationRequested>(json!({ "order": "o-1", "reason": "expired" })),
        round_trip::<OrderConcluded>(json!({ "order": "o-1", "customer": "c-1", "total": five })),
        round_trip::<OrderFailed>(json!({ "order": "o-1", "why": "out_of_stock" })),
        round_trip::<OrderCancelled>(json!({ "order": "o-1", "reason": "customer" })),
        round_trip::<BilledOrder>(json!({
            "order": "o-1", "account": "a-1", "amount": five, "lines": lines, "destination": "FR",
        })),
        round_trip::<PaymentDeclined>(json!({
            "order": "o-1", "account": "a-1", "why": { "not_enough_funds": { "missing": five } },
        })),
        round_trip::<PaymentRefunded>(json!({ "order": "o-1", "account": "a-1", "amount": five })),
        round_trip::<OrderPrepared>(json!({ "order": "o-1", "lines": lines, "destination": "FR" })),
        round_trip::<ProductOutOfStock>(json!({ "order": "o-1", "sku": "tea", "missing": 3 })),
        round_trip::<StockReleased>(json!({ "order": "o-1", "lines": lines })),
        round_trip::<OrderDelivered>(json!({ "order": "o-1" })),
        round_trip::<ShipmentFailed>(
            json!({ "order": "o-1", "why": { "not_served": { "destination": "AQ" } } }),
        ),
        round_trip::<ShipmentCancelled>(json!({ "order": "o-1" })),
        round_trip::<CancellationRefused>(json!({ "order": "o-1" })),
    ];
    let all: Vec<&str> = public_events().iter().map(|event| event.event_type).collect();
    assert_eq!(tried.to_vec(), all);
}
