//! What may not be left lying about: held messages without a plan, hanging transactions.

use std::collections::BTreeSet;

use crate::{evidence::Evidence, report::Invariant};

/// An item of the agenda is claimed within seconds of its time; one that is later is forgotten.
const OVERDUE_MICROS: i64 = 120 * 1_000_000;

pub(super) fn held(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "nothing_held_without_a_plan",
        "nothing is dead, what is parked has its next try, what waits has something in front, and no deadline or effect is forgotten",
        "messages and items",
    );
    for service in &evidence.services {
        let name = &service.name;
        let mut planned = BTreeSet::new();
        for held in service.store.held.iter().filter(|it| it.state != "waiting") {
            found.looked();
            let at = format!("{name} {} lane {} {}", held.topic, held.lane, held.id);
            planned.insert((&held.topic, held.lane, &held.key));
            if held.state == "parked" && held.next_at > 0 {
                found.notes.push(format!("{at} is parked: {}", held.reason));
            } else {
                found.violated(format!("{at} is {}: {}", held.state, held.reason));
            }
        }
        for held in service.store.held.iter().filter(|it| it.state == "waiting") {
            found.demand(planned.contains(&(&held.topic, held.lane, &held.key)), || {
                format!("{name} {} lane {} {} waits for nothing", held.topic, held.lane, held.id)
            });
        }
        for item in &service.store.agenda {
            let forgotten = item.due < evidence.now - OVERDUE_MICROS;
            found.demand(item.state == "pending" && !forgotten, || {
                let state = if item.state == "pending" { "forgotten" } else { &item.state };
                format!(
                    "{name} {} {} of {} is {state}: {}",
                    item.kind, item.name, item.key, item.reason
                )
            });
        }
    }
    found
}

pub(super) fn transactions(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "no_hanging_transaction",
        "the last stable offset of each partition is its end, and no broker knows a transaction that is not ended",
        "partitions",
    );
    for service in &evidence.services {
        for end in &service.log.ends {
            found.demand(end.last_stable == end.high, || {
                let at = format!("{} partition {}", service.topic, end.partition);
                format!("{at}: a transaction is open from {} to {}", end.last_stable, end.high)
            });
        }
    }
    match &evidence.open {
        Some(open) => {
            for it in open {
                found.violated(format!("{} is {}", it.transactional_id, it.state));
            }
        }
        None => found.notes.push("the brokers did not list their transactions".to_owned()),
    }
    found
}
