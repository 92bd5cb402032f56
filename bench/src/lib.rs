//! Figures on real PostgreSQL and Kafka. Each that can be is a ratio to hand-written code without the
//! toolkit that gives the same guarantee, both measured in turns in the same run.
//!
//! A case is one file in `cases`: see [`case::Case`].
#![cfg(feature = "servers")]

pub mod args;
pub mod case;
mod cases;
pub mod context;
mod duel;
mod figure;
mod grounds;
mod meter;
mod raw;
mod report;
mod sample;
mod silent;
mod stage;

pub use cases::ALL;
pub use report::run;
pub use stage::child;
