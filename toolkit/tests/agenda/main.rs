//! Deadlines (P13) and effects (P14) over the running engine.

#[allow(unreachable_pub)]
mod booking;
mod p13;
mod p14;
