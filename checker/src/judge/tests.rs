//! The judgement on evidence that was made by hand: one order's life, whole and corrupt.

use serde_json::{Value, json};
use uuid::Uuid;

use super::judge;
use crate::{
    evidence::{
        End, Event, Evidence, Held, Log, OpenTransaction, Place, Position, Record, Service,
        Sighting, Store,
    },
    report::Report,
};

const NOW: i64 = 1_700_000_000_000_000;

struct Made {
    service: &'static str,
    stream: &'static str,
    event_type: &'static str,
    /// The number of the event that caused it; a command if there is none.
    cause: Option<u128>,
    payload: Value,
}

fn made(
    service: &'static str,
    stream: &'static str,
    event_type: &'static str,
    cause: u128,
    payload: Value,
) -> Made {
    Made { service, stream, event_type, cause: (cause > 0).then_some(cause), payload }
}

/// One order that is concluded. Event `n` has the id `n`.
fn story() -> Vec<Made> {
    let money = |minor: u64| json!({"minor": minor, "currency": "EUR"});
    let lines = json!([{"sku": "tea", "quantity": 2, "price": money(100)}]);
    let moved = json!({"order": "o-1", "amount": money(200)});
    let step = "participation/o-1";
    vec![
        made("payment", "account/a", "account.funds_set", 0, json!({"funds": money(500)})),
        made("inventory", "stock/tea", "stock.set", 0, json!({"available": 9})),
        made(
            "order",
            "order/o-1",
            "ORDER_CREATED",
            0,
            json!({"total": money(200), "lines": lines}),
        ),
        made("payment", "account/a", "account.captured", 3, moved),
        made("payment", step, "BILLED_ORDER", 3, json!({"amount": money(200)})),
        made("inventory", "stock/tea", "stock.reserved", 5, json!({"quantity": 2})),
        made("inventory", step, "ORDER_PREPARED", 5, json!({"lines": lines})),
        made("shipping", step, "ORDER_DELIVERED", 7, json!({})),
        made("inventory", "stock/tea", "stock.shipped", 8, json!({"quantity": 2})),
        made("inventory", step, "reservation.shipped", 8, json!({})),
        made("order", "order/o-1", "ORDER_CONCLUDED", 8, json!({})),
    ]
}

fn evidence() -> Evidence {
    let mut services: Vec<Service> = ["order", "payment", "inventory", "shipping"]
        .map(|name| Service {
            name: name.to_owned(),
            topic: format!("t.{name}"),
            store: Store::default(),
            log: Log { records: vec![], ends: vec![] },
        })
        .into();
    for (n, made) in (1..).zip(story()) {
        let service = services.iter_mut().find(|it| it.name == made.service).unwrap();
        add(service, n, made);
    }
    let seen = services.iter().flat_map(|service| {
        service.log.records.iter().map(|record| Sighting {
            topic: service.topic.clone(),
            partition: 0,
            offset: record.offset,
            id: record.header("ce_id").unwrap().to_owned(),
            seq: record.header("ce_laneseq").unwrap().to_owned(),
        })
    });
    let seen = Some(seen.collect());
    let mut all = Evidence { services, open: Some(vec![]), seen, now: NOW };
    for n in 0..4 {
        for source in 0..4 {
            let log = &all.services[source].log;
            let last = log.records.last().unwrap();
            let position = Position {
                topic: all.services[source].topic.clone(),
                lane: 0,
                last_seq: i64::try_from(log.records.len()).unwrap(),
                last_id: last.header("ce_id").unwrap().parse().ok(),
            };
            all.services[n].store.positions.push(position);
        }
        let records = all.services[n].log.records.len();
        let high = i64::try_from(records).unwrap() * 10;
        all.services[n].log.ends.push(End { partition: 0, last_stable: high, high });
        all.services[n].store.heads.insert(0, i64::try_from(records).unwrap());
    }
    all
}

fn add(service: &mut Service, n: u128, made: Made) {
    let is_public = made.event_type.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let seq = i64::try_from(service.log.records.len()).unwrap() + 1;
    let versions = service.store.events.iter().filter(|it| it.stream == made.stream).count();
    let command = Uuid::from_u128(n + 1_000);
    if made.cause.is_none() {
        service.store.causes.insert(command);
    }
    // What belongs to no order has a saga of its own.
    let saga = if n < 3 { n } else { 77 };
    let event = Event {
        id: Uuid::from_u128(n),
        saga: Uuid::from_u128(saga),
        stream: made.stream.to_owned(),
        version: i64::try_from(versions).unwrap() + 1,
        event_type: made.event_type.to_owned(),
        causation: made.cause.map_or(command, Uuid::from_u128).to_string(),
        time: NOW,
        payload: made.payload.to_string().into_bytes(),
        place: is_public.then(|| Place { lane: 0, seq, key: "o-1".to_owned() }),
    };
    if is_public {
        service.log.records.push(record(&service.name, &event, seq));
    }
    service.store.events.push(event);
}

fn record(service: &str, event: &Event, seq: i64) -> Record {
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_source", format!("/quadrille/{service}")),
        ("ce_type", event.event_type.clone()),
        ("ce_time", "2023-11-14T22:13:20.000000Z".to_owned()),
        ("ce_subject", "o-1".to_owned()),
        ("ce_dataschema", format!("/schemas/{}.json", event.event_type)),
        ("content-type", "application/json".to_owned()),
        ("ce_correlationid", event.saga.to_string()),
        ("ce_causationid", event.causation.clone()),
        ("ce_sequence", format!("0000000000000000000{seq}")),
        ("ce_partitionkey", "o-1".to_owned()),
        ("ce_lane", "0".to_owned()),
        ("ce_laneseq", seq.to_string()),
        ("ce_streamversion", event.version.to_string()),
    ];
    Record {
        partition: 0,
        offset: seq * 10,
        key: b"o-1".to_vec(),
        value: event.payload.clone(),
        timestamp_ms: Some(NOW / 1000),
        headers: headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
    }
}

fn corrupt(change: impl FnOnce(&mut Evidence)) -> Report {
    let mut all = evidence();
    change(&mut all);
    judge(&all)
}

#[track_caller]
fn assert_found(report: &Report, invariant: &str, words: &str) {
    let found = report.invariants.iter().find(|it| it.name == invariant).unwrap();
    assert!(found.told.iter().any(|told| told.contains(words)), "{words:?} not in\n{report}");
}

#[test]
fn a_whole_story_passes() {
    let report = judge(&evidence());
    assert!(report.holds(), "{report}");
    let unlooked: Vec<_> = report.invariants.iter().filter(|it| it.checked == 0).collect();
    assert_eq!(unlooked.len(), 1, "only nothing is held: {unlooked:?}");
    assert_eq!(report.json()["violations"], 0);
}

#[test]
fn a_lost_record_is_named() {
    let report = corrupt(|all| drop(all.services[0].log.records.remove(0)));
    assert_found(&report, "log_lanes_dense", "order lane 0 in the log: 1 to 1 lost");
    assert_found(&report, "log_is_store", "lost in the log");
}

#[test]
fn a_doubled_record_is_named() {
    let report = corrupt(|all| {
        let twice = all.services[0].log.records[0].clone();
        all.services[0].log.records.insert(0, Record { offset: 5, ..twice });
    });
    assert_found(&report, "log_lanes_dense", "1 doubled");
    assert_found(&report, "log_is_store", "doubled in the log, 2 times");
}

#[test]
fn swapped_records_are_named() {
    let report = corrupt(|all| {
        let records = &mut all.services[0].log.records;
        (records[0].offset, records[1].offset) = (records[1].offset, records[0].offset);
    });
    assert_found(&report, "log_lanes_dense", "1 comes after 2");
    assert_found(&report, "positions_at_the_logs_end", "the log's end is Some(1)");
}

#[test]
fn a_changed_byte_is_named() {
    let report = corrupt(|all| all.services[0].log.records[0].value[3] ^= 1);
    assert_eq!(report.violated(), ["log_is_store"]);
    assert_found(&report, "log_is_store", "the payload differs from byte 3 on");
}

#[test]
fn each_header_that_follows_from_the_row_counts() {
    for n in 0..15 {
        let report = corrupt(|all| all.services[1].log.records[0].headers[n].1.push(b'x'));
        assert!(report.violated().contains(&"log_is_store"), "header {n}: {report}");
    }
}

#[test]
fn an_event_that_the_store_lost_is_named() {
    let report = corrupt(|all| {
        all.services[1].store.events.retain(|event| event.event_type != "BILLED_ORDER");
    });
    assert_found(&report, "store_lanes_dense", "its counter is Some(1), its last event 0");
    assert_found(&report, "each_record_applied_once", "payment applied ORDER_CREATED");
    assert_found(&report, "no_reader_saw_what_is_not", "was seen and is not in the store");
    assert_found(&report, "each_event_one_cause", "is not there");
    assert_found(&report, "law_concluded_once", "o-1");
}

#[test]
fn an_event_that_was_applied_twice_is_named() {
    let report = corrupt(|all| {
        let events = &mut all.services[1].store.events;
        let mut again =
            events.iter().find(|it| it.event_type == "account.captured").unwrap().clone();
        (again.id, again.version, again.time) = (Uuid::from_u128(99), 3, NOW + 1);
        events.push(again);
    });
    assert_found(&report, "each_event_one_cause", "was decided twice");
    assert_found(&report, "law_money", "captured 400");
}

#[test]
fn stock_that_moves_otherwise_than_stated_is_named() {
    let report = corrupt(|all| {
        let events = &mut all.services[2].store.events;
        let reserved = events.iter_mut().find(|it| it.event_type == "stock.reserved").unwrap();
        reserved.payload = br#"{"quantity": 10}"#.to_vec();
    });
    assert_found(&report, "law_stock", "takes too much");
    assert_found(&report, "law_stock", "stated");
}

#[test]
fn a_hole_in_a_stream_and_an_order_without_end_are_named() {
    let report = corrupt(|all| {
        all.services[0].store.events[1].version = 3;
        all.services[0].store.events[1].event_type = "ORDER_X".to_owned();
    });
    assert_found(&report, "stream_versions_dense", "order order/o-1: versions 2 to 2 lost");
    assert_found(&report, "every_saga_at_an_end", "has 0 ends");
}

#[test]
fn what_hangs_or_waits_for_nothing_is_named() {
    let held = |state: &str, key: &str, next_at| Held {
        topic: "t.order".to_owned(),
        lane: 0,
        id: format!("{state}-{key}"),
        key: key.to_owned(),
        seq: 1,
        state: state.to_owned(),
        next_at,
        reason: "why".to_owned(),
    };
    let report = corrupt(|all| {
        all.services[1].store.held = vec![
            held("parked", "a", NOW),
            held("waiting", "a", 0),
            held("parked", "b", 0),
            held("waiting", "c", 0),
            held("dead", "d", 0),
        ];
        all.services[0].log.ends[0].last_stable -= 3;
        all.open = Some(vec![OpenTransaction {
            transactional_id: "x.relay.0".to_owned(),
            state: "Ongoing".to_owned(),
        }]);
    });
    let plan =
        report.invariants.iter().find(|it| it.name == "nothing_held_without_a_plan").unwrap();
    assert_eq!(plan.violations, 3, "{plan}");
    assert_found(&report, "no_hanging_transaction", "t.order partition 0: a transaction is open");
    assert_found(&report, "no_hanging_transaction", "x.relay.0 is Ongoing");
}
