//! The same work by hand, without the toolkit: written to be fast, and with the same guarantees.

pub(crate) mod producer;
pub(crate) mod sql;
