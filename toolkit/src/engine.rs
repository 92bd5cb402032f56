//! The engine.

/// To come.
#[derive(Debug)]
pub struct Engine;
