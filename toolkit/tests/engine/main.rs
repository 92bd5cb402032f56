//! The protocol, rule by rule, over the real engine on a store and a log in memory.
//!
//! `harness` has one small service that does what a test tells it to, and a world to run it in.
#![allow(missing_docs, unreachable_pub)]

mod harness;

mod barrier_compensation;
mod barrier_identity;
mod barrier_order;
mod barrier_pivot;
mod p01;
mod p02;
mod p03;
