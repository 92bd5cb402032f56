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
    if matches!(error, Error::Encode(_)) {
        return AppendError::Rejected(error.into());
    }
    match primary(&error) {
        Some(code::CONSTRAINT) if is_unique(&error) => not_unique(error),
        Some(code::TOO_BIG | code::CONSTRAINT | code::MISMATCH | code::RANGE) => {
            AppendError::Rejected(error.into())
        }
        _ => AppendError::Unavailable(error.into()),
    }
}

fn is_unique(error: &Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

/// All was checked under the write lock; a key that is there all the same says at least that the data
/// is not to blame.
fn not_unique(error: Error) -> AppendError {
    let on_heads = |e: &dyn sqlx::error::DatabaseError| e.message().contains("events.version");
    if error.as_database_error().is_some_and(on_heads) {
        return AppendError::Conflict { streams: Vec::new() };
    }
    AppendError::Unavailable(error.into())
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

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _, sqlite::SqliteConnection};

    use super::*;

    /// The error of the last of these statements, on tables as the store has them.
    async fn failing(statements: &str) -> Error {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let sql = include_str!("../../../migrations/sqlite/0001_event_store.sql");
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(statements)).await.unwrap_err()
    }

    const EVENT: &str = "INSERT INTO events VALUES (NULL, 's', 1, x'00', 'A', x'', x'00', 'c', 1, NULL, \
                         NULL, NULL, NULL);";

    #[tokio::test]
    async fn what_the_data_did_is_told_apart_from_what_others_did() {
        let twice = append_error(failing(&[EVENT, EVENT].concat()).await);
        assert!(matches!(twice, AppendError::Conflict { .. }), "{twice:?}");
        let cause = "INSERT INTO causes VALUES (x'00', 1, NULL, NULL);";
        let twice = append_error(failing(&[cause, cause].concat()).await);
        assert!(matches!(twice, AppendError::Unavailable(_)), "{twice:?}");
        let bad = append_error(failing("INSERT INTO service VALUES (2, 'two', 1, 1)").await);
        assert!(matches!(bad, AppendError::Rejected(_)), "a check failed: {bad:?}");
        let bad = append_error(failing("INSERT INTO lanes VALUES (1, 'text')").await);
        assert!(matches!(bad, AppendError::Rejected(_)), "no number: {bad:?}");
        let big = "INSERT INTO lanes SELECT 1, length(zeroblob(1 << 30))";
        let big = append_error(failing(big).await);
        assert!(matches!(big, AppendError::Rejected(_)), "too big: {big:?}");
    }

    #[tokio::test]
    async fn an_error_of_the_commit_leaves_the_outcome_open() {
        let error = failing("INSERT INTO service VALUES (2, 'two', 1, 1)").await;
        assert!(matches!(commit_error(error), AppendError::Unknown(_)));
        assert!(matches!(commit_error(Error::WorkerCrashed), AppendError::Unknown(_)));
    }
}
