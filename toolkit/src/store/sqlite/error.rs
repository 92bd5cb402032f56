//! What SQLite's result codes mean to the caller.

use sqlx::Error;

use crate::store::{AppendError, StoreError};

/// Primary result codes of SQLite that say something about the data or the file.
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const TOO_BIG: u32 = 18;
    pub(super) const CONSTRAINT: u32 = 19;
    pub(super) const MISMATCH: u32 = 20;
    pub(super) const RANGE: u32 = 25;
    pub(super) const NOT_A_DATABASE: u32 = 26;
}

/// The primary result code: the extended one's low byte.
fn primary(error: &Error) -> Option<u32> {
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Whether another connection was in the way, so that trying again may help at once.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(primary(error), Some(code::BUSY | code::LOCKED))
}

pub(super) fn store_error(error: Error) -> StoreError {
    match (&error, primary(&error)) {
        (_, Some(code::CORRUPT | code::NOT_A_DATABASE))
        | (Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_), _) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.into()),
    }
}

/// For statements before the commit: nothing of the append is there.
pub(super) fn append_error(error: Error) -> AppendError {
    match (&error, primary(&error)) {
        // All heads were checked under the write lock; a second index may still disagree.
        (_, Some(code::CONSTRAINT)) if on_heads(&error) => {
            AppendError::Conflict { streams: Vec::new() }
        }
        (Error::Encode(_), _)
        | (_, Some(code::TOO_BIG | code::CONSTRAINT | code::MISMATCH | code::RANGE)) => {
            AppendError::Rejected(error.into())
        }
        _ => AppendError::Unavailable(error.into()),
    }
}

fn on_heads(error: &Error) -> bool {
    error.as_database_error().is_some_and(|e| e.message().contains("events.stream, events.version"))
}

/// For what a store says outside of an append.
pub(super) fn unavailable(error: StoreError) -> AppendError {
    match error {
        StoreError::Unavailable(error) => AppendError::Unavailable(error),
        other => AppendError::Unavailable(other.into()),
    }
}

/// For the commit itself: only a lock that could not be had says surely that nothing was written.
pub(super) fn commit_error(error: Error) -> AppendError {
    if is_busy(&error) {
        AppendError::Unavailable(error.into())
    } else {
        AppendError::Unknown(error.into())
    }
}
