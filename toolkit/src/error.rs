//! How a handler fails: retryable by `?`, terminal on purpose.
//!
//! A refusal by the business is not a failure: it is a value, and usually an event.
//!
//! | a handler returns | what the engine does |
//! |---|---|
//! | an error through `?` | parks the message, tries again with backoff, later ones of its key wait |
//! | an error through `.terminal()?` | the message is dead with its reason, until a person decides |
//! | a panic | a bug: as terminal, and counted |

use std::{error::Error, fmt};

/// Why a handler could not finish. Any error becomes a *retryable* one through `?`.
pub struct HandlerError {
    kind: FailureKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The kinds of failure that end a handler's run (P12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// May succeed later: parked and tried again.
    Retryable,
    /// Will never succeed: dead at once.
    Terminal,
    /// A panic, or a rule of the toolkit broken by the handler: dead at once, and counted.
    Bug,
}

impl HandlerError {
    /// An error that a later try may not meet.
    pub fn retryable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: FailureKind::Retryable, source: source.into() }
    }

    /// An error that every later try will meet again.
    pub fn terminal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: FailureKind::Terminal, source: source.into() }
    }

    /// A mistake in the program.
    pub fn bug(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: FailureKind::Bug, source: source.into() }
    }

    /// Which kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The error and its sources, outermost first, joined by `: `.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.source.to_string();
        let mut next = self.source.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

// `HandlerError` is no `std::error::Error`, as `anyhow::Error` is none: else this would overlap.
impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retryable(error)
    }
}

/// `.terminal()` on a result: this error will not go away, so no retry.
pub trait TerminalExt<T> {
    /// Turns an error into a terminal one.
    ///
    /// # Errors
    /// The same error, terminal.
    fn terminal(self) -> Result<T, HandlerError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> TerminalExt<T> for Result<T, E> {
    fn terminal(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::terminal)
    }
}
