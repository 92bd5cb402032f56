//! Log = store, byte for byte.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};

use crate::{
    evidence::{Event, Evidence, Place, Record, Service},
    report::Invariant,
};

pub(super) fn log_is_store(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "log_is_store",
        "each public event is in the log once, with its key, payload, time and headers, and nothing else is",
        "events and records",
    );
    for service in &evidence.services {
        compare(&mut found, service);
    }
    found
}

fn compare(found: &mut Invariant, service: &Service) {
    let name = &service.name;
    let mut records: BTreeMap<(i32, i64), Vec<&Record>> = BTreeMap::new();
    for record in &service.log.records {
        found.looked();
        match record.header("ce_laneseq").and_then(|seq| seq.parse().ok()) {
            Some(seq) => records.entry((record.partition, seq)).or_default().push(record),
            None => found.violated(format!("{}: not an event of ours", at(name, record))),
        }
    }
    for event in &service.store.events {
        let Some(place) = &event.place else { continue };
        found.looked();
        let copies = records.remove(&(place.lane, place.seq)).unwrap_or_default();
        let event_at = format!("{name} lane {} number {} ({})", place.lane, place.seq, event.id);
        match copies.as_slice() {
            [] => found.violated(format!("{event_at}: in the store, lost in the log")),
            [record] => {
                for difference in differences(name, event, place, record) {
                    found.violated(format!("{event_at}: {difference}"));
                }
            }
            several => {
                found.violated(format!("{event_at}: doubled in the log, {} times", several.len()));
            }
        }
    }
    for record in records.values().flatten() {
        let seq = record.header("ce_laneseq").unwrap_or_default();
        let id = record.header("ce_id").unwrap_or_default();
        found.violated(format!("{} (number {seq}, {id}): not in the store", at(name, record)));
    }
}

fn at(service: &str, record: &Record) -> String {
    format!("{service} partition {} offset {}", record.partition, record.offset)
}

fn differences(service: &str, event: &Event, place: &Place, record: &Record) -> Vec<String> {
    let mut different = vec![];
    if record.key != place.key.as_bytes() {
        different.push("another key in the log".to_owned());
    }
    if record.value != event.payload {
        let at = record.value.iter().zip(&event.payload).position(|(a, b)| a != b);
        let at = at.unwrap_or(record.value.len().min(event.payload.len()));
        different.push(format!("the payload differs from byte {at} on"));
    }
    if record.timestamp_ms != Some(event.time.div_euclid(1000)) {
        different.push(format!("another time in the log: {:?}", record.timestamp_ms));
    }
    for (name, expected) in headers(service, event, place) {
        let actual = record.header(name);
        if actual != Some(&expected) {
            different.push(format!("the header {name} is {actual:?}, not {expected:?}"));
        }
    }
    different
}

/// The headers that follow from the row.
fn headers(service: &str, event: &Event, place: &Place) -> [(&'static str, String); 15] {
    let time = DateTime::from_timestamp_micros(event.time).unwrap_or_default();
    [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_source", format!("/quadrille/{service}")),
        ("ce_type", event.event_type.clone()),
        ("ce_time", time.to_rfc3339_opts(SecondsFormat::Micros, true)),
        ("ce_subject", place.key.clone()),
        ("ce_dataschema", format!("/schemas/{}.json", event.event_type)),
        ("content-type", "application/json".to_owned()),
        ("ce_correlationid", event.saga.to_string()),
        ("ce_causationid", event.causation.clone()),
        ("ce_sequence", format!("{:020}", place.seq)),
        ("ce_partitionkey", place.key.clone()),
        ("ce_lane", place.lane.to_string()),
        ("ce_laneseq", place.seq.to_string()),
        ("ce_streamversion", event.version.to_string()),
    ]
}
