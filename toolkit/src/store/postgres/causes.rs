//! What appends are known by (P17).

use std::sync::Arc;

use bytes::Bytes;
use sqlx::Row as _;

use super::{
    connections::Connections,
    error::store_error,
    number::{stored_lane, unsigned},
    rows,
};
use crate::{
    id::{CauseId, Lane},
    runtime::Timestamp,
    store::{Appended, StoreError},
};

/// Waits on the server for an append with this cause that is still at work there.
pub(super) async fn outcome(
    connections: &Arc<Connections>,
    cause: CauseId,
) -> Result<Option<Appended>, StoreError> {
    let query = sqlx::query("SELECT in_lanes, firsts FROM outcome($1)").bind(cause.0);
    let found = rows(connections, query).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let lanes: Option<Vec<i32>> = row.try_get(0).map_err(store_error)?;
    let firsts: Option<Vec<i64>> = row.try_get(1).map_err(store_error)?;
    let (Some(lanes), Some(firsts)) = (lanes, firsts) else { return Ok(None) };
    let lanes = lanes.into_iter().map(|lane| Lane(stored_lane(lane)));
    let first_in_lane = lanes.zip(firsts.into_iter().map(unsigned)).collect();
    Ok(Some(Appended { first_in_lane, follows: vec![] }))
}

pub(super) async fn answer(
    connections: &Arc<Connections>,
    cause: CauseId,
) -> Result<Option<Bytes>, StoreError> {
    let query = sqlx::query("SELECT answer FROM causes WHERE id = $1 AND answer IS NOT NULL");
    let found = rows(connections, query.bind(cause.0)).await?;
    let body = found.first().map(|row| row.try_get::<Vec<u8>, _>(0).map(Bytes::from));
    body.transpose().map_err(store_error)
}

/// No row of these tables is ever changed, so its place names it.
const PRUNE_CAUSES: &str = "
WITH gone AS (
    DELETE FROM causes
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM causes WHERE at < $1 LIMIT $2)) RETURNING 1)
SELECT count(*) FROM gone";

const PRUNE_INBOX: &str = "
WITH gone AS (
    DELETE FROM inbox
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM inbox WHERE at < $1 LIMIT $2)) RETURNING 1)
SELECT count(*) FROM gone";

pub(super) async fn prune(
    connections: &Arc<Connections>,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    remove(connections, PRUNE_CAUSES, before, limit).await
}

pub(super) async fn prune_inbox(
    connections: &Arc<Connections>,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    remove(connections, PRUNE_INBOX, before, limit).await
}

async fn remove(
    connections: &Arc<Connections>,
    sql: &'static str,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = sqlx::query(sql).bind(before.0).bind(limit);
    let found = rows(connections, query).await?;
    let count = found.first().map(|row| row.try_get(0)).transpose().map_err(store_error)?;
    Ok(count.map_or(0, unsigned))
}
