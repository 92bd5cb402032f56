//! What the tests share.

mod bell;
mod broker;
mod events;
mod foreign;
mod said;
mod stock;
mod trial;
mod until;
mod upstream;
mod view;
mod world;

pub use bell::*;
pub use broker::*;
pub use events::*;
pub use foreign::*;
pub use said::*;
pub use stock::*;
pub use trial::*;
pub use until::*;
pub use upstream::*;
pub use world::*;

pub use quadrille::{
    engine::ClientError,
    id::{CauseId, EventId, Lane, SourceLane},
    log::memory::{PublishStep, StepFate},
    prelude::*,
    store::{EventStore, HeldState, StartAt},
    testing::faulty_store::Fault,
};
pub use std::{sync::Arc, time::Duration};
