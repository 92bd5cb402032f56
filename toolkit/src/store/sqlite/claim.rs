//! Claims of source lanes (P2, P3, P11, P12), in one write transaction: nothing moves meanwhile.

use std::collections::BTreeSet;

use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};
use uuid::Uuid;

use super::{
    connections::Connections,
    error::store_error,
    held,
    number::{limit, unsigned},
};
use crate::{
    id::{EventId, Lane, SourceLane},
    store::{Claim, Claimed, Gap, Position, StartAt, StoreError},
};

const FIND: &str = "SELECT consumes FROM positions WHERE topic = ?1 AND lane = ?2";

const TAKE: &str = "
INSERT INTO positions (topic, lane, epoch, last_seq, next_offset, start, consumes)
VALUES (?1, ?2, 1, 0, 0, ?3, ?4)
ON CONFLICT (topic, lane) DO UPDATE SET epoch = epoch + 1, consumes = excluded.consumes
RETURNING epoch, last_seq, last_id, next_offset, start";

pub(super) async fn run(writer: &Connections, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
    let consumes: BTreeSet<String> = claim.consumes.iter().cloned().collect();
    let mut write = writer.write().await?;
    let mut claimed = Vec::with_capacity(claim.lanes.len());
    for lane in &claim.lanes {
        claimed.push(one(write.connection(), lane, claim, &consumes).await?);
    }
    write.commit().await.map_err(store_error)?;
    Ok(claimed)
}

async fn one(
    connection: &mut SqliteConnection,
    lane: &SourceLane,
    claim: &Claim,
    consumes: &BTreeSet<String>,
) -> Result<Claimed, StoreError> {
    let stored = stored(connection, lane).await?;
    let missing: Vec<String> = stored.difference(consumes).cloned().collect();
    if !missing.is_empty() {
        return Ok(Claimed::Refused { missing });
    }
    let row = sqlx::query(TAKE)
        .bind(lane.topic.clone())
        .bind(lane.lane.0)
        .bind(claim.start.name())
        .bind(serde_json::json!(consumes).to_string())
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    let position = position(lane, &row)?;
    let epoch = unsigned(row.try_get(0).map_err(store_error)?);
    let held = held::heads(connection, lane, claim.held_max).await?;
    Ok(Claimed::Owned { epoch, position, held })
}

/// A position from the columns `last_seq`, `last_id`, `next_offset`, `start`, which follow the first.
fn position(lane: &SourceLane, row: &SqliteRow) -> Result<Position, StoreError> {
    let id: Option<&[u8]> = row.try_get(2).map_err(store_error)?;
    let id = id.map(|id| Uuid::from_slice(id).map(EventId)).transpose();
    Ok(Position {
        last_seq: unsigned(row.try_get(1).map_err(store_error)?),
        last_id: id
            .map_err(|error| StoreError::Corrupt(format!("the last id of {lane}: {error}")))?,
        next_offset: row.try_get(3).map_err(store_error)?,
        start: StartAt::named(row.try_get(4).map_err(store_error)?),
    })
}

pub(super) async fn positions(
    readers: &Connections,
) -> Result<Vec<(SourceLane, Position)>, StoreError> {
    let mut lent = readers.lend().await?;
    let rows = sqlx::query(
        "SELECT lane, last_seq, last_id, next_offset, start, topic FROM positions ORDER BY topic, lane",
    )
    .fetch_all(lent.connection())
    .await
    .map_err(store_error)?;
    lent.give_back();
    let one = |row: &SqliteRow| {
        let topic: &str = row.try_get(5).map_err(store_error)?;
        let lane = SourceLane::new(topic, Lane(row.try_get(0).map_err(store_error)?));
        let position = position(&lane, row)?;
        Ok((lane, position))
    };
    rows.iter().map(one).collect()
}

/// The types that the lane's owners have consumed; none for a new lane.
async fn stored(
    connection: &mut SqliteConnection,
    lane: &SourceLane,
) -> Result<BTreeSet<String>, StoreError> {
    let query = sqlx::query(FIND).bind(lane.topic.clone()).bind(lane.lane.0);
    let row = query.fetch_optional(connection).await.map_err(store_error)?;
    let Some(row) = row else { return Ok(BTreeSet::new()) };
    let text: &str = row.try_get(0).map_err(store_error)?;
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("what {lane} consumes: {error}")))
}

pub(super) async fn gaps(readers: &Connections, max: usize) -> Result<Vec<Gap>, StoreError> {
    let mut lent = readers.lend().await?;
    let rows = sqlx::query(
        "SELECT topic, lane, first, last FROM gaps ORDER BY topic, lane, first, last LIMIT ?1",
    )
    .bind(limit(max))
    .fetch_all(lent.connection())
    .await
    .map_err(store_error)?;
    lent.give_back();
    let gap = |row: &SqliteRow| {
        Ok(Gap {
            source: SourceLane::new(row.try_get::<&str, _>(0)?, Lane(row.try_get(1)?)),
            from: unsigned(row.try_get(2)?),
            to: unsigned(row.try_get(3)?),
        })
    };
    rows.iter().map(gap).collect::<Result<_, _>>().map_err(store_error)
}
