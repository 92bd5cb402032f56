//! Identity, lanes, floors and leases: what the relay keeps.

use std::{sync::Arc, time::Duration};

use sqlx::{Row as _, postgres::PgRow};

use super::{
    connections::Connections,
    error::store_error,
    number::{lane as lane_number, micros, signed, stored_lane, unsigned},
    rows,
};
use crate::{
    id::{Lane, LaneSeq},
    store::{Floor, Lease, Registered, Registration, ShardChange, StoreError},
};

/// Whoever comes first writes the row and the lanes; the others wait for it and read.
const FIRST: &str = "
WITH own AS (
    INSERT INTO service (sole, name, lanes, shards) VALUES (1, $1, $2, $3)
    ON CONFLICT (sole) DO NOTHING RETURNING lanes)
INSERT INTO lanes (lane, head) SELECT generate_series(0, own.lanes - 1), 0 FROM own";

const IDENTITY: &str = "
SELECT name, lanes, CASE shards WHEN 0 THEN closed_from ELSE shards END, shards = 0 FROM service";

const CLOSE: &str = "
UPDATE service SET change = change + 1, closed_from = CASE shards WHEN 0 THEN closed_from ELSE shards END,
       shards = 0
RETURNING change, closed_from";

const OPEN: &str = "
UPDATE service SET shards = $2, closed_from = NULL WHERE change = $1 AND shards = 0 RETURNING shards";

/// An expired lease may go to anyone; a token rises whenever it was not simply extended. The clock is
/// read once the row is locked (P9).
const LEASE: &str = "
INSERT INTO leases AS l (name, holder, token, expires)
VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 microsecond')
ON CONFLICT (name) DO UPDATE
   SET token = l.token + CASE WHEN l.expires <= clock_timestamp() OR l.holder <> $2 THEN 1 ELSE 0 END,
       holder = $2, expires = clock_timestamp() + $3 * interval '1 microsecond'
 WHERE l.holder = $2 OR l.expires <= clock_timestamp()
RETURNING token";

pub(super) async fn register(
    connections: &Arc<Connections>,
    asked: &Registration,
) -> Result<Registered, StoreError> {
    if let Some((own, closed)) = identity(connections).await? {
        return compare(&own, closed, asked);
    }
    if asked.lanes == 0 || asked.shards == 0 {
        return Err(StoreError::Mismatch("a store needs a lane and a shard".into()));
    }
    let first = sqlx::query(FIRST)
        .bind(asked.service.as_str())
        .bind(lane_number(asked.lanes))
        .bind(lane_number(asked.shards));
    rows(connections, first).await?;
    match identity(connections).await? {
        Some((own, closed)) => compare(&own, closed, asked),
        None => Err(StoreError::Corrupt("its registration is not there".into())),
    }
}

/// Whose store it is, and whether the map of its lanes is closed.
async fn identity(
    connections: &Arc<Connections>,
) -> Result<Option<(Registration, bool)>, StoreError> {
    let found = rows(connections, sqlx::query(IDENTITY)).await?;
    let own = |row: &PgRow| {
        let own = Registration {
            service: row.try_get(0)?,
            lanes: stored_lane(row.try_get(1)?),
            shards: stored_lane(row.try_get(2)?),
        };
        Ok((own, row.try_get(3)?))
    };
    found.first().map(own).transpose().map_err(store_error)
}

fn compare(
    own: &Registration,
    closed: bool,
    asked: &Registration,
) -> Result<Registered, StoreError> {
    if own.service != asked.service {
        return Err(StoreError::Mismatch(format!(
            "it belongs to the service {:?}, not to {:?}",
            own.service, asked.service
        )));
    }
    if own.lanes != asked.lanes {
        return Err(StoreError::Mismatch(format!(
            "it has {} lanes for ever, not {}",
            own.lanes, asked.lanes
        )));
    }
    Ok(Registered { shards: own.shards, closed })
}

pub(super) async fn close_shards(
    connections: &Arc<Connections>,
) -> Result<ShardChange, StoreError> {
    let closed = rows(connections, sqlx::query(CLOSE)).await?;
    let change = |row: &PgRow| {
        Ok(ShardChange { number: unsigned(row.try_get(0)?), shards: stored_lane(row.try_get(1)?) })
    };
    match closed.first() {
        Some(row) => change(row).map_err(store_error),
        None => Err(StoreError::Mismatch("no service has registered here".into())),
    }
}

pub(super) async fn open_shards(
    connections: &Arc<Connections>,
    change: u64,
    shards: u32,
) -> Result<bool, StoreError> {
    if shards == 0 {
        return Err(StoreError::Mismatch("a store needs a shard".into()));
    }
    let query = sqlx::query(OPEN).bind(signed(change)).bind(lane_number(shards));
    Ok(!rows(connections, query).await?.is_empty())
}

pub(super) async fn lane_heads(connections: &Arc<Connections>) -> Result<Vec<LaneSeq>, StoreError> {
    let found = rows(connections, sqlx::query("SELECT head FROM lanes ORDER BY lane")).await?;
    let head = |row: &PgRow| row.try_get(0).map(unsigned);
    found.iter().map(head).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) async fn floor(
    connections: &Arc<Connections>,
    lane: Lane,
) -> Result<Option<Floor>, StoreError> {
    let query = sqlx::query("SELECT lane_seq, end_offset, topic_id FROM floors WHERE lane = $1");
    let found = rows(connections, query.bind(lane_number(lane.0))).await?;
    let floor = |row: &PgRow| {
        Ok(Floor {
            lane,
            lane_seq: unsigned(row.try_get(0)?),
            end_offset: row.try_get(1)?,
            topic_id: row.try_get(2)?,
        })
    };
    found.first().map(floor).transpose().map_err(store_error)
}

pub(super) async fn set_floor(
    connections: &Arc<Connections>,
    floor: &Floor,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "INSERT INTO floors AS f (lane, lane_seq, end_offset, topic_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (lane) DO UPDATE SET lane_seq = excluded.lane_seq,
            end_offset = excluded.end_offset, topic_id = excluded.topic_id
          WHERE f.topic_id <> excluded.topic_id OR f.lane_seq <= excluded.lane_seq",
    )
    .bind(lane_number(floor.lane.0))
    .bind(signed(floor.lane_seq))
    .bind(floor.end_offset)
    .bind(floor.topic_id.as_str());
    rows(connections, query).await.map(drop)
}

pub(super) async fn lease(
    connections: &Arc<Connections>,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<Lease>, StoreError> {
    let query = sqlx::query(LEASE).bind(name).bind(holder).bind(micros(ttl));
    let found = rows(connections, query).await?;
    let token = found.first().map(|row| row.try_get(0).map(unsigned)).transpose();
    Ok(token.map_err(store_error)?.map(|token| Lease { token, ttl }))
}

pub(super) async fn release(
    connections: &Arc<Connections>,
    name: &str,
    holder: &str,
) -> Result<(), StoreError> {
    let query =
        sqlx::query("UPDATE leases SET expires = '-infinity' WHERE name = $1 AND holder = $2");
    rows(connections, query.bind(name).bind(holder)).await.map(drop)
}
