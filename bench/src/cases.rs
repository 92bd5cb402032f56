//! All cases, in the order in which they run.

mod hot;
mod latency;
mod processes;
mod r1_append;
mod r2_relay;
mod r4_sagas;
mod whole;

use crate::case::Case;

/// All cases, in the order in which they run.
pub const ALL: &[Case] = &[
    r1_append::CASE,
    r2_relay::CASE,
    r4_sagas::CASE,
    hot::CASE,
    whole::CASE,
    processes::CASE,
    latency::CASE,
];
