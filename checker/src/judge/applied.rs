//! Every consumed record was reached: positions against the log's ends.

use std::collections::BTreeMap;

use crate::{
    evidence::{Evidence, Record, Service},
    report::Invariant,
};

use super::effects;

pub(super) fn positions(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "positions_at_the_logs_end",
        "each service has applied each lane that it reads up to its last record, by number and id, with no gap",
        "positions",
    );
    for service in &evidence.services {
        for (topic, lane, first, last) in &service.store.gaps {
            let name = &service.name;
            found.violated(format!(
                "{name} has never read {first} to {last} of {topic} lane {lane}"
            ));
        }
        for source in evidence.services.iter().filter(|s| effects::reads(&service.name, &s.name)) {
            for (lane, last) in ends(source) {
                compare(&mut found, service, source, lane, last);
            }
        }
    }
    found
}

fn compare(
    found: &mut Invariant,
    service: &Service,
    source: &Service,
    lane: i32,
    last: Option<&Record>,
) {
    found.looked();
    let place = format!("{} reads {} lane {lane}", service.name, source.name);
    let here = |p: &&crate::evidence::Position| p.topic == source.topic && p.lane == lane;
    let Some(position) = service.store.positions.iter().find(here) else {
        return found.violated(format!("{place}: it has no position"));
    };
    let seq = last.and_then(|r| r.header("ce_laneseq")).map_or(Some(0), |seq| seq.parse().ok());
    if Some(position.last_seq) != seq {
        let at = position.last_seq;
        found.violated(format!("{place}: it is at {at}, the log's end is {seq:?}"));
    }
    let id = last.and_then(|record| record.header("ce_id"));
    let known = position.last_id.map(|id| id.to_string());
    if position.last_seq > 0 && known.as_deref() != id {
        found.violated(format!("{place}: it knows {known:?} there, the log has {id:?}"));
    }
}

/// The last record of each partition.
fn ends(service: &Service) -> BTreeMap<i32, Option<&Record>> {
    let mut ends: BTreeMap<i32, Option<&Record>> =
        service.log.ends.iter().map(|end| (end.partition, None)).collect();
    for record in &service.log.records {
        let last = ends.entry(record.partition).or_default();
        if last.is_none_or(|last| last.offset < record.offset) {
            *last = Some(record);
        }
    }
    ends
}
