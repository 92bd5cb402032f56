//! Held messages (P11, P12).

use std::collections::BTreeSet;

use bytes::Bytes;
use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{
    connections::Connections,
    error::store_error,
    number::{limit, signed, small, unsigned},
};
use crate::{
    id::{Lane, SourceLane},
    runtime::Timestamp,
    store::{
        Action, HeldChange, HeldHead, HeldMessage, HeldState, NewRuling, StoreError, reason::kept,
    },
};

const HOLD: &str = "
INSERT INTO held (topic, lane, id, key, seq, log_offset, event_type, saga, headers, payload, state,
                  attempts, held_at, next_at, reason)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
ON CONFLICT (topic, lane, id) DO NOTHING";

const RELEASE: &str =
    "DELETE FROM held WHERE topic = ?1 AND lane = ?2 AND id = ?3 AND attempts = ?4";

const REPLAY: &str = "
UPDATE held SET state = 'parked', next_at = ?4 WHERE topic = ?1 AND lane = ?2 AND id = ?3";

const REMOVE: &str = "DELETE FROM held WHERE topic = ?1 AND lane = ?2 AND id = ?3";

const UPDATE: &str = "
UPDATE held SET attempts = ?5, state = ?6, next_at = ?7, reason = ?8
 WHERE topic = ?1 AND lane = ?2 AND id = ?3 AND attempts = ?4";

/// Nothing waits behind a dead message without a key, or one that was set aside.
const HEADS: &str = "
SELECT key, id, state, attempts, next_at FROM (
    SELECT key, id, state, attempts, next_at, seq, log_offset,
           row_number() OVER (PARTITION BY key ORDER BY seq, log_offset, id) AS place
      FROM held
     WHERE topic = ?1 AND lane = ?2 AND state <> 'aside' AND NOT (key = '' AND state = 'dead'))
 WHERE place = 1 ORDER BY seq, log_offset, id LIMIT ?3";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT topic, lane, id, key, seq, log_offset, event_type, saga, headers, payload, state, ",
            "attempts, held_at, next_at, reason FROM held ",
            $rest
        )
    };
}

const OF_KEY: &str = select!(
    "WHERE topic = ?1 AND lane = ?2 AND key = ?3 AND state <> 'aside' ORDER BY seq, log_offset, id LIMIT ?4"
);

pub(super) const ONE: &str = select!("WHERE topic = ?1 AND lane = ?2 AND id = ?3");

pub(super) const OF_SAGA: &str =
    select!("WHERE saga = ?1 ORDER BY held_at, topic, lane, seq, log_offset, id LIMIT ?2");

const IN_STATE: &str =
    select!("WHERE state = ?1 ORDER BY held_at, topic, lane, seq, log_offset, id LIMIT ?2");

/// Makes the changes in order; the lanes of those whose message is not as it was read.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    changes: &[HeldChange],
) -> Result<Vec<SourceLane>, sqlx::Error> {
    let mut lanes = BTreeSet::new();
    for change in changes {
        if !one(connection, change).await? {
            lanes.insert(change.source().clone());
        }
    }
    Ok(lanes.into_iter().collect())
}

async fn one(connection: &mut SqliteConnection, change: &HeldChange) -> Result<bool, sqlx::Error> {
    let query = match change {
        HeldChange::Hold(message) => return hold(connection, message).await.map(|()| true),
        HeldChange::Release { source, id, attempts } => sqlx::query(RELEASE)
            .bind(source.topic.clone())
            .bind(source.lane.0)
            .bind(id.as_str())
            .bind(*attempts),
        HeldChange::Update { source, id, attempts, new_attempts, state, next_at, reason } => {
            sqlx::query(UPDATE)
                .bind(source.topic.clone())
                .bind(source.lane.0)
                .bind(id.as_str())
                .bind(*attempts)
                .bind(*new_attempts)
                .bind(state.name())
                .bind(next_at.0)
                .bind(kept(reason))
        }
    };
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Does what was ruled on a message that was read in this transaction.
pub(super) async fn rule(
    connection: &mut SqliteConnection,
    held: &HeldMessage,
    new: &NewRuling,
) -> Result<(), sqlx::Error> {
    let at = |sql: &'static str| {
        let query = sqlx::query(sql).bind(held.source.topic.clone()).bind(held.source.lane.0);
        query.bind(held.id.as_str())
    };
    let query = match new.action {
        Action::Replay => at(REPLAY).bind(new.at.0),
        Action::Skip | Action::Resolve | Action::Answer { .. } => at(REMOVE),
    };
    query.execute(connection).await.map(drop)
}

async fn hold(connection: &mut SqliteConnection, held: &HeldMessage) -> Result<(), sqlx::Error> {
    sqlx::query(HOLD)
        .bind(held.source.topic.clone())
        .bind(held.source.lane.0)
        .bind(held.id.as_str())
        .bind(held.key.clone())
        .bind(signed(held.seq))
        .bind(held.offset)
        .bind(held.event_type.as_str())
        .bind(held.saga.as_deref())
        .bind(&*held.headers)
        .bind(&*held.payload)
        .bind(held.state.name())
        .bind(held.attempts)
        .bind(held.held_at.0)
        .bind(held.next_at.0)
        .bind(kept(&held.reason))
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn heads(
    connection: &mut SqliteConnection,
    lane: &SourceLane,
    max: usize,
) -> Result<Vec<HeldHead>, StoreError> {
    let query = sqlx::query(HEADS).bind(lane.topic.clone()).bind(lane.lane.0).bind(limit(max));
    let rows = query.fetch_all(connection).await.map_err(store_error)?;
    let head = |row: &SqliteRow| {
        Ok(HeldHead {
            key: row.try_get::<&str, _>(0)?.into(),
            id: row.try_get(1)?,
            state: HeldState::named(row.try_get(2)?),
            attempts: small(row.try_get(3)?),
            next_at: Timestamp(row.try_get(4)?),
        })
    };
    rows.iter().map(head).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) async fn of_key(
    readers: &Connections,
    lane: &SourceLane,
    key: &str,
    max: usize,
) -> Result<Vec<HeldMessage>, StoreError> {
    let mut lent = readers.lend().await?;
    let rows = sqlx::query(OF_KEY)
        .bind(lane.topic.clone())
        .bind(lane.lane.0)
        .bind(key)
        .bind(limit(max))
        .fetch_all(lent.connection())
        .await
        .map_err(store_error)?;
    lent.give_back();
    rows.iter().map(message).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) async fn in_state(
    readers: &Connections,
    state: HeldState,
    max: usize,
) -> Result<Vec<HeldMessage>, StoreError> {
    let mut lent = readers.lend().await?;
    let query = sqlx::query(IN_STATE).bind(state.name()).bind(limit(max));
    let rows = query.fetch_all(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    rows.iter().map(message).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) fn message(row: &SqliteRow) -> Result<HeldMessage, sqlx::Error> {
    Ok(HeldMessage {
        source: SourceLane::new(row.try_get::<&str, _>(0)?, Lane(row.try_get(1)?)),
        id: row.try_get(2)?,
        key: row.try_get::<&str, _>(3)?.into(),
        seq: unsigned(row.try_get(4)?),
        offset: row.try_get(5)?,
        event_type: row.try_get(6)?,
        saga: row.try_get(7)?,
        headers: Bytes::from(row.try_get::<Vec<u8>, _>(8)?),
        payload: Bytes::from(row.try_get::<Vec<u8>, _>(9)?),
        state: HeldState::named(row.try_get(10)?),
        attempts: small(row.try_get(11)?),
        held_at: Timestamp(row.try_get(12)?),
        next_at: Timestamp(row.try_get(13)?),
        reason: row.try_get(14)?,
    })
}
