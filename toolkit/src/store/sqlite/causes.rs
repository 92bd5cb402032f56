//! What appends are known by (P17).

use bytes::Bytes;
use sqlx::Row as _;

use super::{connections::Connections, error::store_error};
use crate::{
    id::CauseId,
    runtime::Timestamp,
    store::{Appended, StoreError},
};

/// Asks under the write lock: the commit in question may still be on its way in another connection's
/// thread, and a reader would not see it.
pub(super) async fn outcome(
    writer: &Connections,
    cause: CauseId,
) -> Result<Option<Appended>, StoreError> {
    let mut write = writer.write().await?;
    let row =
        sqlx::query("SELECT first_in_lane FROM causes WHERE id = ?1 AND first_in_lane IS NOT NULL")
            .bind(&cause.0.as_bytes()[..])
            .fetch_optional(write.connection())
            .await
            .map_err(store_error)?;
    write.roll_back().await;
    let Some(row) = row else { return Ok(None) };
    let text: &str = row.try_get(0).map_err(store_error)?;
    let first_in_lane = serde_json::from_str(text).map_err(|error| {
        StoreError::Corrupt(format!("the numbers of the cause {cause}: {error}"))
    })?;
    Ok(Some(Appended { first_in_lane, follows: vec![] }))
}

pub(super) async fn answer(
    readers: &Connections,
    cause: CauseId,
) -> Result<Option<Bytes>, StoreError> {
    let mut lent = readers.lend().await?;
    let row = sqlx::query("SELECT answer FROM causes WHERE id = ?1 AND answer IS NOT NULL")
        .bind(&cause.0.as_bytes()[..])
        .fetch_optional(lent.connection())
        .await
        .map_err(store_error)?;
    lent.give_back();
    row.map(|row| row.try_get::<Vec<u8>, _>(0).map(Bytes::from)).transpose().map_err(store_error)
}

const PRUNE_CAUSES: &str =
    "DELETE FROM causes WHERE id IN (SELECT id FROM causes WHERE at < ?1 LIMIT ?2)";

const PRUNE_INBOX: &str = "DELETE FROM inbox WHERE (source, id) IN \
     (SELECT source, id FROM inbox WHERE at < ?1 LIMIT ?2)";

pub(super) async fn prune(
    writer: &Connections,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    remove(writer, PRUNE_CAUSES, before, limit).await
}

pub(super) async fn prune_inbox(
    writer: &Connections,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    remove(writer, PRUNE_INBOX, before, limit).await
}

async fn remove(
    writer: &Connections,
    sql: &'static str,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    let mut write = writer.write().await?;
    let pruned = sqlx::query(sql)
        .bind(before.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(write.connection())
        .await
        .map_err(store_error)?;
    write.commit().await.map_err(store_error)?;
    Ok(pruned.rows_affected())
}
