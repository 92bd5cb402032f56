//! What a case is.

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::context::Context;

/// One question to the toolkit, with all its figures.
///
/// A new one is a file in `cases` with a `pub(crate) const CASE`, and its line in `cases::ALL`.
#[derive(Clone, Copy)]
pub struct Case {
    /// How it is called on the command line; its figures' keys begin with it.
    pub name: &'static str,
    /// What it asks, in a line.
    pub what: &'static str,
    /// Measures, and hands its figures to `Context::figure`.
    pub run: for<'a> fn(&'a Context) -> LocalBoxFuture<'a, Result<()>>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Case {}", self.name)
    }
}
