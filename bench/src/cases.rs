//! All cases, in the order in which they run.

mod r1_append;
mod r2_relay;
mod whole;

use crate::case::Case;

/// All cases, in the order in which they run.
pub const ALL: &[Case] = &[r1_append::CASE, r2_relay::CASE, whole::CASE];
