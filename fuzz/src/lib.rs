//! Every decoder of outside bytes, fed with what nobody expects.
//!
//! A [`Target`] takes any bytes and says what is wrong with the decoder, if anything is; a panic counts. The
//! inputs in `fuzz/corpus/<target>` are its memory: plain `cargo test` replays them all, and
//! `cargo xtask fuzz` makes new ones of them. `docs/fuzzing.md` says more.

pub mod corpus;
pub mod mutate;
pub mod random;
pub mod run;
pub mod targets;

pub use targets::Target;
