//! The relay's protocol, P5 to P9, as a model that is explored exhaustively within bounds.
//!
//! Two relays publish one service's two lanes. The log treats transactions as brokers and librdkafka do
//! without KIP-890: the end of a transaction may come late and more than once, and names nothing but its
//! epoch. Every step of the protocol and every fault is an [`Action`]; stateright walks through all orders of
//! them. `docs/model.md` says what is modelled and what is not.

pub mod actions;
pub mod bounds;
pub mod explore;
pub mod list;
pub mod log;
pub mod model;
pub mod plan;
pub mod properties;
pub mod relay;
mod steps;
pub mod store;
pub mod trace;
pub mod variant;

pub use actions::Action;
pub use bounds::Bounds;
pub use model::{Model, State};
pub use variant::Variant;

/// Lanes of the service.
pub const LANES: usize = 2;
/// Shards, and with them transactional ids, at most.
pub const SHARDS: usize = 2;
/// Instances of the service.
pub const RELAYS: usize = 2;
