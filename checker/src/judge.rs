//! The invariants, each over the evidence alone.

mod applied;
mod causes;
mod effects;
mod lanes;
mod laws;
mod leftovers;
mod orders;
mod replica;
mod seen;
mod streams;
#[cfg(test)]
mod tests;

use crate::{evidence::Evidence, report::Report};

/// Asks all of them.
#[must_use]
pub fn judge(evidence: &Evidence) -> Report {
    let mut invariants = vec![
        lanes::in_store(evidence),
        lanes::in_log(evidence),
        replica::log_is_store(evidence),
        streams::dense(evidence),
        causes::one_each(evidence),
        applied::positions(evidence),
        effects::once(evidence),
    ];
    let orders = orders::gather(evidence);
    invariants.push(orders.ended);
    invariants.extend(laws::all(evidence, &orders.orders));
    invariants.push(leftovers::held(evidence));
    invariants.push(leftovers::transactions(evidence));
    invariants.extend(seen::readers(evidence));
    Report { invariants }
}
