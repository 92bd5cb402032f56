//! A store whose appends wait: what was decided is on its way into it, and does not arrive.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::wait;

const NUMBERS: &str = "SELECT lane FROM lanes FOR UPDATE";
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
const END_WAITING: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Holds the numbers of all lanes. Until [`release`](Self::release) no append that states something gets
/// further than to its locks.
#[derive(Debug)]
pub struct Hold {
    holding: PgConnection,
    url: String,
}

impl Hold {
    /// Takes hold of a service's store, by its owner's address.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn of(url: &str) -> Result<Self> {
        let mut holding = PgConnection::connect(url).await?;
        sqlx::raw_sql("BEGIN").execute(&mut holding).await?;
        sqlx::query(NUMBERS).fetch_all(&mut holding).await?;
        Ok(Self { holding, url: url.to_owned() })
    }

    /// Waits until an append waits.
    ///
    /// # Errors
    /// When none does within [`wait::LIMIT`].
    pub async fn until_one_waits(&self) -> Result<()> {
        let mut database = PgConnection::connect(&self.url).await?;
        wait::until("an append to wait", wait::LIMIT, async || {
            let row = sqlx::query(WAITING).fetch_one(&mut database).await?;
            Ok(row.try_get::<i64, _>(0)? > 0)
        })
        .await
    }

    /// Ends what waits: it never arrives. Without this it does, also when its process has died meanwhile.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn end_waiting(&self) -> Result<()> {
        let mut database = PgConnection::connect(&self.url).await?;
        sqlx::query(END_WAITING).fetch_all(&mut database).await?;
        Ok(())
    }

    /// Lets appends through again.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn release(mut self) -> Result<()> {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.holding).await?;
        Ok(self.holding.close().await?)
    }
}
