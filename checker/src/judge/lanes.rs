//! Per lane a dense sequence, each number once.

use std::collections::BTreeMap;

use crate::{evidence::Evidence, report::Invariant};

/// In the store: the lanes' numbers, and the counters that give them out.
pub(super) fn in_store(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "store_lanes_dense",
        "in the store, the numbers of each lane are 1, 2, 3 … up to its counter, each once",
        "public events",
    );
    for service in &evidence.services {
        let mut lanes: BTreeMap<i32, Vec<i64>> =
            service.store.heads.keys().map(|lane| (*lane, vec![])).collect();
        for place in service.store.events.iter().filter_map(|event| event.place.as_ref()) {
            found.looked();
            lanes.entry(place.lane).or_default().push(place.seq);
        }
        for (lane, mut seqs) in lanes {
            seqs.sort_unstable();
            let place = format!("{} lane {lane} in the store", service.name);
            let end = dense(&mut found, &place, &seqs);
            let head = service.store.heads.get(&lane).copied();
            if head != Some(end) {
                found.violated(format!("{place}: its counter is {head:?}, its last event {end}"));
            }
        }
    }
    found
}

/// In the log: each partition's numbers, in the order of its offsets.
pub(super) fn in_log(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "log_lanes_dense",
        "in the log, the committed records of each partition are numbered 1, 2, 3 … in their order",
        "records",
    );
    for service in &evidence.services {
        let mut lanes: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
        for record in &service.log.records {
            found.looked();
            let (partition, offset) = (record.partition, record.offset);
            let seq = record.header("ce_laneseq").and_then(|text| text.parse().ok());
            let Some(seq) = seq else {
                found.violated(format!(
                    "{} partition {partition} offset {offset}: no number in the lane",
                    service.name
                ));
                continue;
            };
            lanes.entry(partition).or_default().push((offset, seq));
        }
        for (lane, mut records) in lanes {
            records.sort_by_key(|(offset, _)| *offset);
            let seqs: Vec<i64> = records.into_iter().map(|(_, seq)| seq).collect();
            dense(&mut found, &format!("{} lane {lane} in the log", service.name), &seqs);
        }
    }
    found
}

/// Names every step that is not to the next number; gives the highest number.
fn dense(found: &mut Invariant, place: &str, seqs: &[i64]) -> i64 {
    let mut last = 0;
    for &seq in seqs {
        if seq > last + 1 {
            found.violated(format!("{place}: {} to {} lost", last + 1, seq - 1));
        } else if seq == last {
            found.violated(format!("{place}: {seq} doubled"));
        } else if seq < last {
            found.violated(format!("{place}: {seq} comes after {last}"));
        }
        last = last.max(seq);
    }
    last
}
