//! The conformance suites for stores and logs, and the helpers that tests share.

pub mod faulty_store;
mod given;
pub mod store_conformance;

pub use given::{Decided, Events, Given, given};
