//! Each event has one cause, and there is such a cause.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{evidence::Evidence, report::Invariant};

pub(super) fn one_each(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "each_event_one_cause",
        "each event's id is its own, and its cause is one public event of another service, or one command, deadline or effect",
        "events",
    );
    let published: BTreeMap<Uuid, &str> = evidence
        .services
        .iter()
        .flat_map(|service| {
            let public = service.store.events.iter().filter(|event| event.place.is_some());
            public.map(|event| (event.id, service.name.as_str()))
        })
        .collect();
    let mut ids = BTreeSet::new();
    // A cause's effects in one service belong to one saga and were decided at one time: one append.
    let mut decided: BTreeMap<(&str, &str), (Uuid, i64)> = BTreeMap::new();
    for service in &evidence.services {
        for event in &service.store.events {
            found.looked();
            let name = format!("{} {} version {}", service.name, event.stream, event.version);
            if !ids.insert(event.id) {
                found.violated(format!("{name}: the id {} is another event's too", event.id));
            }
            let cause = event.causation.as_str();
            let known = match cause.parse::<Uuid>() {
                Ok(id) => {
                    published.get(&id).is_some_and(|by| *by != service.name)
                        || service.store.causes.contains(&id)
                }
                Err(_) => ["command:", "deadline:", "effect:"]
                    .iter()
                    .any(|kind| cause.strip_prefix(kind).is_some_and(|rest| !rest.is_empty())),
            };
            if !known {
                found.violated(format!("{name}: its cause {cause:?} is not there"));
            }
            let this = (event.saga, event.time);
            let first = *decided.entry((&service.name, cause)).or_insert(this);
            if first != this {
                found.violated(format!("{name}: its cause {cause} was decided twice"));
            }
        }
    }
    found
}
