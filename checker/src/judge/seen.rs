//! No reader of committed records ever saw an event that the store does not have.

use std::collections::BTreeMap;

use crate::{
    evidence::{Evidence, Place},
    report::Invariant,
};

/// Nothing when nobody watched.
pub(super) fn readers(evidence: &Evidence) -> Option<Invariant> {
    let seen = evidence.seen.as_ref()?;
    let mut found = Invariant::new(
        "no_reader_saw_what_is_not",
        "every record that a live reader of committed records saw is in the store, in the same place",
        "records seen",
    );
    let mut places: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
    for service in &evidence.services {
        for event in &service.store.events {
            if let Some(place) = &event.place {
                places.insert(event.id.to_string(), (&service.topic, place));
            }
        }
    }
    let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for it in seen {
        found.looked();
        let at = format!("{} partition {} offset {}", it.topic, it.partition, it.offset);
        let Some((topic, place)) = places.get(&it.id) else {
            found.violated(format!("{at}: {} was seen and is not in the store", it.id));
            continue;
        };
        let stored = (*topic, place.lane, place.seq.to_string());
        if stored != (it.topic.as_str(), it.partition, it.seq.clone()) {
            let (topic, lane, seq) = stored;
            let id = &it.id;
            found
                .violated(format!("{at}: {id} was seen as {}, it is {topic} {lane} {seq}", it.seq));
        }
        // A reader that starts at the beginning sees every number, once.
        let last = last.entry((&it.topic, it.partition)).or_default();
        if place.seq != *last + 1 {
            found.violated(format!("{at}: number {} was seen after {last}", place.seq));
        }
        *last = place.seq;
    }
    Some(found)
}
