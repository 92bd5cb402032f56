//! What the tests share.

mod events;
mod stock;
mod trial;
mod until;
mod upstream;
mod view;
mod world;

pub use events::*;
pub use stock::*;
pub use trial::*;
pub use until::*;
pub use upstream::*;
pub use world::*;

pub use quadrille::{
    engine::{ClientError, Limits, RetryPolicy},
    id::{CauseId, EventId, Lane, SagaId, SourceLane},
    prelude::*,
    store::{EventStore, HeldState, StartAt, memory::MemoryStore},
    testing::faulty_store::{Fault, FaultyStore},
};
pub use std::{sync::Arc, time::Duration};
