//! The same work by hand, without the toolkit: written to be fast, and with the same guarantees.
//!
//! A service is one loop: messages in, decisions on state in memory, one statement that commits, one
//! transaction that publishes. While a batch commits, the next one is decided; batches are as much as
//! arrived meanwhile. What a failure would need (deciding again, a new epoch) is not written: a failure ends
//! the run, and costs nothing as long as there is none.

mod business;
mod consumer;
pub(crate) mod producer;
mod relay;
mod service;
pub(crate) mod sql;
mod stack;

pub(crate) use business::{Business, Payment};
pub(crate) use consumer::start as consume;
pub(crate) use service::{Place, Service, begun};
pub(crate) use stack::{RawStack, accounts, opened, prepare};
