//! Claims of source lanes (P2, P3, P11, P12), in one round trip.

use std::{collections::BTreeSet, sync::Arc};

use sqlx::{Row as _, postgres::PgRow};

use super::{
    connections::Connections,
    error::store_error,
    held,
    number::{lane, limit, stored_lane, unsigned},
    rows,
};
use crate::{
    id::{EventId, Lane, SourceLane},
    store::{Claim, Claimed, Gap, HeldHead, Position, StartAt, StoreError},
};

const CLAIM: &str = "
SELECT missing, epoch, last_seq, last_id, next_offset, start, held_key, held_id, held_state,
       held_attempts, held_next_at
  FROM claim($1, $2, $3, $4, $5)";

pub(super) async fn run(
    connections: &Arc<Connections>,
    claim: &Claim,
) -> Result<Vec<Claimed>, StoreError> {
    let mut sorted: Vec<usize> = (0..claim.lanes.len()).collect();
    sorted.sort_by(|a, b| claim.lanes[*a].cmp(&claim.lanes[*b]));
    let consumes: BTreeSet<&str> = claim.consumes.iter().map(String::as_str).collect();
    let lanes = || sorted.iter().map(|n| &claim.lanes[*n]);
    let query = sqlx::query(CLAIM)
        .bind(lanes().map(|source| &*source.topic).collect::<Vec<&str>>())
        .bind(lanes().map(|source| lane(source.lane.0)).collect::<Vec<i32>>())
        .bind(consumes.into_iter().collect::<Vec<&str>>())
        .bind(claim.start.name())
        .bind(limit(claim.held_max));
    let found = rows(connections, query).await?;
    let claimed: Result<Vec<Claimed>, _> = found.iter().map(claimed).collect();
    let mut places: Vec<_> = sorted.into_iter().zip(claimed.map_err(store_error)?).collect();
    places.sort_by_key(|(n, _)| *n);
    Ok(places.into_iter().map(|(_, claimed)| claimed).collect())
}

fn claimed(row: &PgRow) -> Result<Claimed, sqlx::Error> {
    if let Some(missing) = row.try_get(0)? {
        return Ok(Claimed::Refused { missing });
    }
    let epoch = unsigned(row.try_get(1)?);
    Ok(Claimed::Owned { epoch, position: position(row)?, held: heads(row)? })
}

/// A position from the columns `last_seq`, `last_id`, `next_offset`, `start`, which follow the second.
fn position(row: &PgRow) -> Result<Position, sqlx::Error> {
    Ok(Position {
        last_seq: unsigned(row.try_get(2)?),
        last_id: row.try_get::<Option<_>, _>(3)?.map(EventId),
        next_offset: row.try_get(4)?,
        start: StartAt::named(row.try_get(5)?),
    })
}

pub(super) async fn positions(
    connections: &Arc<Connections>,
) -> Result<Vec<(SourceLane, Position)>, StoreError> {
    let query = sqlx::query(
        "SELECT topic, lane, last_seq, last_id, next_offset, start FROM positions ORDER BY topic, lane",
    );
    let found = rows(connections, query).await?;
    let one = |row: &PgRow| {
        let lane = Lane(stored_lane(row.try_get(1)?));
        Ok((SourceLane::new(row.try_get::<&str, _>(0)?, lane), position(row)?))
    };
    found.iter().map(one).collect::<Result<_, _>>().map_err(store_error)
}

fn heads(row: &PgRow) -> Result<Vec<HeldHead>, sqlx::Error> {
    let Some(keys) = row.try_get::<Option<Vec<String>>, _>(6)? else { return Ok(Vec::new()) };
    let (ids, states): (Vec<String>, Vec<String>) = (row.try_get(7)?, row.try_get(8)?);
    let (attempts, next): (Vec<i64>, Vec<i64>) = (row.try_get(9)?, row.try_get(10)?);
    let rest = ids.into_iter().zip(states).zip(attempts).zip(next);
    let head =
        |(key, (((id, state), attempts), next)): (String, (((String, String), i64), i64))| {
            held::head(&key, id, &state, attempts, next)
        };
    Ok(keys.into_iter().zip(rest).map(head).collect())
}

pub(super) async fn gaps(
    connections: &Arc<Connections>,
    max: usize,
) -> Result<Vec<Gap>, StoreError> {
    let query = sqlx::query(
        "SELECT topic, lane, first, last FROM gaps ORDER BY topic, lane, first, last LIMIT $1",
    );
    let found = rows(connections, query.bind(limit(max))).await?;
    let gap = |row: &PgRow| {
        Ok(Gap {
            source: SourceLane::new(row.try_get::<&str, _>(0)?, Lane(stored_lane(row.try_get(1)?))),
            from: unsigned(row.try_get(2)?),
            to: unsigned(row.try_get(3)?),
        })
    };
    found.iter().map(gap).collect::<Result<_, _>>().map_err(store_error)
}
