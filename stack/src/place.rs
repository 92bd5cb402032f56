//! The servers that a stack runs on, and the program of its services.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where a stack runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Kafka's bootstrap servers: `host:port`, separated by commas.
    pub kafka: String,
    /// PostgreSQL: a user who may create databases and roles.
    pub postgres: String,
    /// The program `stack-service`.
    pub program: PathBuf,
}

impl Place {
    /// On the servers that `cargo xtask test` names.
    ///
    /// # Errors
    /// When it has named none.
    pub fn given(program: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            kafka: variable("QUADRILLE_TEST_KAFKA")?,
            postgres: variable("QUADRILLE_TEST_POSTGRES")?,
            program: program.into(),
        })
    }
}

/// A variable that `cargo xtask test` sets.
pub(crate) fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set: run this with `cargo xtask test`"))
}
