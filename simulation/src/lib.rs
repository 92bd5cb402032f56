//! The story of the four services, simulated: orders are placed, cancelled, charged, reserved and
//! delivered, while everything around them fails; and the laws must hold whenever all is quiet.

pub mod gateway;
pub mod laws;
pub mod parcels;
mod person;
pub mod story;

pub use story::{Charged, one_order, story, story_of};
