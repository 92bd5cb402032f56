//! PostgreSQL's integers are signed; ours mostly are not.

use std::time::Duration;

/// No lease is longer; a longer one would leave the calendar of the server.
const LEASE_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long a lease lasts, in microseconds.
pub(super) fn micros(lease: Duration) -> i64 {
    i64::try_from(lease.min(LEASE_MAX).as_micros()).unwrap_or(i64::MAX)
}

/// A number to store. What is above the signed range is stored as its end: nothing counts that far.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored number.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A stored number that was a `u32`.
pub(super) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}

/// The number of a lane, or of lanes. No topic has as many partitions as this ends.
pub(super) fn lane(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A stored lane.
pub(super) fn stored_lane(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A limit of rows.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
