//! A few connections, lent one at a time.
//!
//! A connection comes back only when its work has ended well. One that was dropped in the middle, by a
//! cancelled task or an error of the driver, is closed, and SQLite rolls its transaction back: no state
//! of a half-done transaction can reach the next user.

use std::sync::{Mutex, PoisonError};

use sqlx::{
    ConnectOptions as _, Executor as _,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::store_error;
use crate::store::StoreError;

pub(super) struct Connections {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Semaphore,
}

/// A connection for one piece of work.
pub(super) struct Lent<'a> {
    home: &'a Connections,
    connection: SqliteConnection,
    _permit: SemaphorePermit<'a>,
}

/// A connection in a write transaction. Dropped without a commit, it rolls back.
pub(super) struct Write<'a>(Lent<'a>);

impl Connections {
    pub(super) fn new(options: SqliteConnectOptions, max: usize) -> Self {
        Self { options, idle: Mutex::default(), permits: Semaphore::new(max) }
    }

    /// Waits for a connection.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        // Nothing closes the semaphore; if it were closed, the store would be gone.
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|error| StoreError::Unavailable(error.into()))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(store_error)?,
        };
        Ok(Lent { home: self, connection, _permit: permit })
    }

    /// Waits for the right to write, and begins.
    pub(super) async fn write(&self) -> Result<Write<'_>, StoreError> {
        let mut lent = self.lend().await?;
        lent.connection().execute("BEGIN IMMEDIATE").await.map_err(store_error)?;
        Ok(Write(lent))
    }
}

impl Lent<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The work has ended well: the connection may be used again.
    pub(super) fn give_back(self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
    }
}

impl Write<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        self.0.connection()
    }

    /// Commits. After an error it may have been committed or not.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.connection().execute("COMMIT").await?;
        self.0.give_back();
        Ok(())
    }

    /// Ends the transaction; nothing of it stays.
    pub(super) async fn roll_back(mut self) {
        // On an error the connection is closed, which rolls back too.
        if self.connection().execute("ROLLBACK").await.is_ok() {
            self.0.give_back();
        }
    }
}
