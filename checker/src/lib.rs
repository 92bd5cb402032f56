//! Checks from outside what the demo's services have left behind in Kafka and PostgreSQL.
//!
//! It shares no code with the toolkit: a mistake there cannot hide itself here. It reads the tables and the
//! topics by itself, folds the story's laws by itself, and knows the demo's events by their names and JSON.
//!
//! | module | is |
//! |---|---|
//! | [`evidence`] | what was read: rows, records, what a live reader saw |
//! | [`judge`] | the invariants, over the evidence alone |
//! | [`report`] | what they found: a line each, or JSON |
//! | [`unseen`] | where a live reader missed something |
//! | `read`, `live` | PostgreSQL and Kafka, and a reader that watches while things happen (feature `servers`) |
//!
//! Ask it when all is quiet: a message that is under way is a violation here.

pub mod evidence;
pub mod judge;
#[cfg(feature = "servers")]
pub mod live;
#[cfg(feature = "servers")]
pub mod read;
pub mod report;
pub mod unseen;
