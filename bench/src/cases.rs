//! All cases, in the order in which they run.

mod hot;
mod latency;
mod pace;
mod processes;
mod r1_append;
mod r2_relay;
mod r3_step;
mod r4_sagas;
mod r6_deadlines;
mod r6_flight;
mod r6_rows;
mod r6_streams;
mod r7_hops;
mod whole;

use crate::case::Case;

/// All cases, in the order in which they run.
pub const ALL: &[Case] = &[
    r1_append::CASE,
    r2_relay::CASE,
    r3_step::CASE,
    r4_sagas::CASE,
    r6_rows::CASE,
    r6_streams::CASE,
    r6_deadlines::CASE,
    r6_flight::CASE,
    r7_hops::CASE,
    hot::CASE,
    pace::CASE,
    whole::CASE,
    processes::CASE,
    latency::CASE,
];
