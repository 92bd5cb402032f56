//! The conformance suites for stores and logs, and the helpers that tests share.

pub mod faulty_log;
pub mod faulty_store;
mod given;
pub mod log_conformance;
pub mod relay_plan;
#[cfg(feature = "process")]
pub mod settings;
pub mod simulation;
mod stage;
pub mod store_conformance;
pub mod turnstile;

pub use given::{Decided, Events, Given, given};
pub use simulation::Simulation;
pub use stage::{Pending, Said, Stage};
