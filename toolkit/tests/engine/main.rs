//! The protocol, rule by rule, over the real engine on a store and a log in memory.
//!
//! `harness` has one small service that does what a test tells it to, and a world to run it in.
#![allow(missing_docs, unreachable_pub)]

mod harness;

mod alerts;
mod barrier_compensation;
mod barrier_identity;
mod barrier_order;
mod barrier_pivot;
mod janitor;
mod p01;
mod p02;
mod p03;
mod p04;
mod p05;
mod p06;
mod p06_overtaken;
mod p07;
mod p08;
mod p09;
mod p10;
mod p11;
mod p12;
mod p15;
mod p16;
mod p17;
mod policies;
mod readiness;
mod rulings;
