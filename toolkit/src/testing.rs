//! The conformance suites for stores and logs, and the helpers that tests share.

pub mod faulty_store;
pub mod store_conformance;
