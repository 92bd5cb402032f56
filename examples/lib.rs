//! Small services to read and copy: run one with `cargo run --example NAME`.

pub mod points;
