//! Identity, lanes, floors and leases: what the relay keeps.

use std::time::Duration;

use sqlx::{Row as _, sqlite::SqliteConnection};

use super::{
    connections::Connections,
    error::store_error,
    number::{micros, signed, small, unsigned},
};
use crate::{
    id::{Lane, LaneSeq},
    store::{Floor, Lease, Registered, Registration, ShardChange, StoreError},
};

/// An expired lease may go to anyone; a token rises whenever it was not simply extended.
const LEASE: &str = concat!(
    "INSERT INTO leases (name, holder, token, expires) VALUES (?1, ?2, 1, ",
    now!(),
    " + ?3) ON CONFLICT (name) DO UPDATE SET token = token + (expires <= ",
    now!(),
    "), holder = excluded.holder, expires = excluded.expires WHERE holder = ?2 OR expires <= ",
    now!(),
    " RETURNING token"
);

pub(super) async fn register(
    writer: &Connections,
    asked: &Registration,
) -> Result<Registered, StoreError> {
    let mut write = writer.write().await?;
    let registered = identify(write.connection(), asked).await;
    match registered {
        Ok(_) => write.commit().await.map_err(store_error)?,
        Err(_) => write.roll_back().await,
    }
    registered
}

async fn identify(
    connection: &mut SqliteConnection,
    asked: &Registration,
) -> Result<Registered, StoreError> {
    let row = sqlx::query("SELECT name, lanes, CASE shards WHEN 0 THEN closed_from ELSE shards END, shards = 0 FROM service")
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    let Some(row) = row else { return first(connection, asked).await };
    let (name, lanes): (&str, u32) =
        (row.try_get(0).map_err(store_error)?, row.try_get(1).map_err(store_error)?);
    if name != asked.service {
        return Err(StoreError::Mismatch(format!(
            "it belongs to the service {name:?}, not to {:?}",
            asked.service
        )));
    }
    if lanes != asked.lanes {
        return Err(StoreError::Mismatch(format!(
            "it has {lanes} lanes for ever, not {}",
            asked.lanes
        )));
    }
    Ok(Registered {
        shards: row.try_get(2).map_err(store_error)?,
        closed: row.try_get(3).map_err(store_error)?,
    })
}

async fn first(
    connection: &mut SqliteConnection,
    asked: &Registration,
) -> Result<Registered, StoreError> {
    if asked.lanes == 0 || asked.shards == 0 {
        return Err(StoreError::Mismatch("a store needs a lane and a shard".into()));
    }
    sqlx::query("INSERT INTO service (only, name, lanes, shards) VALUES (1, ?1, ?2, ?3)")
        .bind(asked.service.as_str())
        .bind(asked.lanes)
        .bind(asked.shards)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    sqlx::query(
        "WITH RECURSIVE l(lane) AS (SELECT 0 UNION ALL SELECT lane + 1 FROM l WHERE lane + 1 < ?1)
         INSERT INTO lanes SELECT lane, 0 FROM l",
    )
    .bind(asked.lanes)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(Registered { shards: asked.shards, closed: false })
}

const CLOSE: &str = "
UPDATE service SET change = change + 1, closed_from = CASE shards WHEN 0 THEN closed_from ELSE shards END,
       shards = 0
RETURNING change, closed_from";

pub(super) async fn close_shards(writer: &Connections) -> Result<ShardChange, StoreError> {
    let mut write = writer.write().await?;
    let row = sqlx::query(CLOSE).fetch_optional(write.connection()).await.map_err(store_error)?;
    write.commit().await.map_err(store_error)?;
    let Some(row) = row else {
        return Err(StoreError::Mismatch("no service has registered here".into()));
    };
    let number = unsigned(row.try_get(0).map_err(store_error)?);
    Ok(ShardChange { number, shards: row.try_get(1).map_err(store_error)? })
}

pub(super) async fn open_shards(
    writer: &Connections,
    change: u64,
    shards: u32,
) -> Result<bool, StoreError> {
    if shards == 0 {
        return Err(StoreError::Mismatch("a store needs a shard".into()));
    }
    let mut write = writer.write().await?;
    let query = sqlx::query(
        "UPDATE service SET shards = ?2, closed_from = NULL WHERE change = ?1 AND shards = 0",
    )
    .bind(signed(change))
    .bind(shards);
    let opened = query.execute(write.connection()).await.map_err(store_error)?;
    write.commit().await.map_err(store_error)?;
    Ok(opened.rows_affected() > 0)
}

pub(super) async fn lane_heads(readers: &Connections) -> Result<Vec<LaneSeq>, StoreError> {
    let mut lent = readers.lend().await?;
    let rows = sqlx::query("SELECT head FROM lanes ORDER BY lane")
        .fetch_all(lent.connection())
        .await
        .map_err(store_error)?;
    lent.give_back();
    rows.iter()
        .map(|row| row.try_get(0).map(unsigned))
        .collect::<Result<_, _>>()
        .map_err(store_error)
}

pub(super) async fn floor(readers: &Connections, lane: Lane) -> Result<Option<Floor>, StoreError> {
    let mut lent = readers.lend().await?;
    let row =
        sqlx::query("SELECT lane, lane_seq, end_offset, topic_id FROM floors WHERE lane = ?1")
            .bind(lane.0)
            .fetch_optional(lent.connection())
            .await
            .map_err(store_error)?;
    lent.give_back();
    let floor = |row: sqlx::sqlite::SqliteRow| {
        Ok(Floor {
            lane: Lane(small(row.try_get(0)?)),
            lane_seq: unsigned(row.try_get(1)?),
            end_offset: row.try_get(2)?,
            topic_id: row.try_get(3)?,
        })
    };
    row.map(floor).transpose().map_err(store_error)
}

pub(super) async fn set_floor(writer: &Connections, floor: &Floor) -> Result<(), StoreError> {
    let mut write = writer.write().await?;
    sqlx::query(
        "INSERT INTO floors (lane, lane_seq, end_offset, topic_id) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (lane) DO UPDATE SET lane_seq = excluded.lane_seq,
            end_offset = excluded.end_offset, topic_id = excluded.topic_id
          WHERE floors.topic_id <> excluded.topic_id OR floors.lane_seq <= excluded.lane_seq",
    )
    .bind(floor.lane.0)
    .bind(signed(floor.lane_seq))
    .bind(floor.end_offset)
    .bind(floor.topic_id.as_str())
    .execute(write.connection())
    .await
    .map_err(store_error)?;
    write.commit().await.map_err(store_error)
}

pub(super) async fn lease(
    writer: &Connections,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<Lease>, StoreError> {
    let mut write = writer.write().await?;
    let row = sqlx::query(LEASE)
        .bind(name)
        .bind(holder)
        .bind(micros(ttl))
        .fetch_optional(write.connection())
        .await
        .map_err(store_error)?;
    write.commit().await.map_err(store_error)?;
    let token = row.map(|row| row.try_get(0).map(unsigned)).transpose().map_err(store_error)?;
    Ok(token.map(|token| Lease { token, ttl }))
}

pub(super) async fn release(
    writer: &Connections,
    name: &str,
    holder: &str,
) -> Result<(), StoreError> {
    let mut write = writer.write().await?;
    sqlx::query("UPDATE leases SET expires = 0 WHERE name = ?1 AND holder = ?2")
        .bind(name)
        .bind(holder)
        .execute(write.connection())
        .await
        .map_err(store_error)?;
    write.commit().await.map_err(store_error)
}
