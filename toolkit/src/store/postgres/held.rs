//! Held messages (P11, P12).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use sqlx::{Row as _, error::BoxDynError, postgres::PgRow};

use super::{
    arguments::Arrays,
    connections::Connections,
    error::store_error,
    number::{lane, limit, signed, small, stored_lane, unsigned},
    rows,
};
use crate::{
    id::{Lane, SourceLane},
    runtime::Timestamp,
    store::{HeldChange, HeldHead, HeldMessage, HeldState, StoreError, reason::kept},
};

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
    "WHERE topic = $1 AND lane = $2 AND key = $3 AND state <> 'aside' ORDER BY seq, log_offset, id LIMIT $4"
);

pub(super) const ONE: &str = select!("WHERE topic = $1 AND lane = $2 AND id = $3");

pub(super) const OF_SAGA: &str =
    select!("WHERE saga = $1 ORDER BY held_at, topic, lane, seq, log_offset, id LIMIT $2");

const IN_STATE: &str =
    select!("WHERE state = $1 ORDER BY held_at, topic, lane, seq, log_offset, id LIMIT $2");

/// Adds the arguments of the changes, in order.
pub(super) fn arguments(add: &mut Arrays<'_>, held: &[HeldChange]) -> Result<(), BoxDynError> {
    let rows: Vec<Change<'_>> = held.iter().map(Change::of).collect();
    add.all(held.iter().map(|change| &*change.source().topic))?;
    add.all(held.iter().map(|change| lane(change.source().lane.0)))?;
    add.all(rows.iter().map(|row| row.id))?;
    add.all(rows.iter().map(|row| row.change))?;
    add.all(rows.iter().map(|row| row.attempts))?;
    add.all(rows.iter().map(|row| row.new_attempts))?;
    add.all(rows.iter().map(|row| row.state))?;
    add.all(rows.iter().map(|row| row.next_at))?;
    add.all(rows.iter().map(|row| row.reason.as_deref()))?;
    let messages = || rows.iter().map(|row| row.message);
    add.all(messages().map(|m| m.map(|m| &*m.key)))?;
    add.all(messages().map(|m| m.map(|m| signed(m.seq))))?;
    add.all(messages().map(|m| m.map(|m| m.offset)))?;
    add.all(messages().map(|m| m.map(|m| m.event_type.as_str())))?;
    add.all(messages().map(|m| m.and_then(|m| m.saga.as_deref())))?;
    add.all(messages().map(|m| m.map(|m| &*m.headers)))?;
    add.all(messages().map(|m| m.map(|m| &*m.payload)))?;
    add.all(messages().map(|m| m.map(|m| m.held_at.0)))
}

/// What the kinds of changes have in common.
struct Change<'a> {
    change: &'static str,
    id: &'a str,
    attempts: i64,
    new_attempts: Option<i64>,
    state: Option<&'static str>,
    next_at: Option<i64>,
    reason: Option<Cow<'a, str>>,
    message: Option<&'a HeldMessage>,
}

impl<'a> Change<'a> {
    fn of(change: &'a HeldChange) -> Self {
        match change {
            HeldChange::Hold(message) => Self {
                change: "hold",
                id: &message.id,
                attempts: message.attempts.into(),
                new_attempts: None,
                state: Some(message.state.name()),
                next_at: Some(message.next_at.0),
                reason: Some(kept(&message.reason)),
                message: Some(message),
            },
            HeldChange::Release { id, attempts, .. } => Self {
                change: "release",
                id,
                attempts: (*attempts).into(),
                new_attempts: None,
                state: None,
                next_at: None,
                reason: None,
                message: None,
            },
            HeldChange::Update { id, attempts, new_attempts, state, next_at, reason, .. } => Self {
                change: "update",
                id,
                attempts: (*attempts).into(),
                new_attempts: Some((*new_attempts).into()),
                state: Some(state.name()),
                next_at: Some(next_at.0),
                reason: Some(kept(reason)),
                message: None,
            },
        }
    }
}

pub(super) fn head(key: &str, id: String, state: &str, attempts: i64, next_at: i64) -> HeldHead {
    HeldHead {
        key: key.into(),
        id,
        state: HeldState::named(state),
        attempts: small(attempts),
        next_at: Timestamp(next_at),
    }
}

pub(super) async fn of_key(
    connections: &Arc<Connections>,
    source: &SourceLane,
    key: &str,
    max: usize,
) -> Result<Vec<HeldMessage>, StoreError> {
    let query = sqlx::query(OF_KEY).bind(&*source.topic).bind(lane(source.lane.0)).bind(key);
    let found = rows(connections, query.bind(limit(max))).await?;
    found.iter().map(message).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) async fn in_state(
    connections: &Arc<Connections>,
    state: HeldState,
    max: usize,
) -> Result<Vec<HeldMessage>, StoreError> {
    let query = sqlx::query(IN_STATE).bind(state.name()).bind(limit(max));
    let found = rows(connections, query).await?;
    found.iter().map(message).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) fn message(row: &PgRow) -> Result<HeldMessage, sqlx::Error> {
    Ok(HeldMessage {
        source: SourceLane::new(row.try_get::<&str, _>(0)?, Lane(stored_lane(row.try_get(1)?))),
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
