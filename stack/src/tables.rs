//! What plain SQL finds in a service's database.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use quadrille::{
    id::{EventId, Lane, SagaId, StreamId},
    runtime::Timestamp,
    store::{Published, RecordedEvent},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// A row of `events`, for a public event.
#[derive(Debug)]
pub struct Stored {
    /// The lane.
    pub lane: i32,
    /// Its number there.
    pub lane_seq: i64,
    /// Its id.
    pub id: Uuid,
    /// The saga that it belongs to.
    pub saga: Uuid,
    /// Its stream.
    pub stream: String,
    /// Its number there.
    pub version: i64,
    /// Its type.
    pub event_type: String,
    /// What caused it.
    pub causation: String,
    /// The key that it is published under.
    pub key: String,
    /// When it was recorded, in microseconds since 1970.
    pub time: i64,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Stored {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            lane: row.try_get("lane")?,
            lane_seq: row.try_get("lane_seq")?,
            id: row.try_get("id")?,
            saga: row.try_get("saga")?,
            stream: row.try_get("stream")?,
            version: row.try_get("version")?,
            event_type: row.try_get("event_type")?,
            causation: row.try_get("causation")?,
            key: row.try_get("key")?,
            time: row.try_get("time")?,
            payload: row.try_get("payload")?,
        })
    }

    /// As the audit takes it.
    #[must_use]
    pub fn recorded(&self) -> RecordedEvent {
        RecordedEvent {
            id: EventId(self.id),
            stream: StreamId::from_stored(&self.stream),
            version: self.version.unsigned_abs(),
            event_type: self.event_type.clone().into(),
            payload: self.payload.clone().into(),
            saga: SagaId(self.saga),
            causation: self.causation.clone(),
            time: Timestamp(self.time),
            trace: None,
            published: Some(Published {
                lane: Lane(self.lane.unsigned_abs()),
                lane_seq: self.lane_seq.unsigned_abs(),
                key: self.key.as_str().into(),
            }),
        }
    }
}

/// The public events of a database, by lane and number.
///
/// # Errors
/// What PostgreSQL says.
pub async fn public_events(url: &str) -> Result<Vec<Stored>> {
    let mut database = PgConnection::connect(url).await?;
    let rows = sqlx::query("SELECT * FROM events WHERE lane IS NOT NULL ORDER BY lane, lane_seq")
        .fetch_all(&mut database)
        .await?;
    Ok(rows.iter().map(Stored::read).collect::<Result<_, _>>()?)
}

/// One number.
async fn scalar(url: &str, query: String) -> Result<i64> {
    let mut database = PgConnection::connect(url).await?;
    let row = sqlx::query(AssertSqlSafe(query)).fetch_one(&mut database).await?;
    Ok(row.try_get(0)?)
}

/// How many rows a table has.
///
/// # Errors
/// What PostgreSQL says.
pub async fn count(url: &str, table: &str) -> Result<i64> {
    scalar(url, format!("SELECT count(*) FROM {table}")).await
}

/// How many events there are of these types.
///
/// # Errors
/// What PostgreSQL says.
pub async fn count_types(url: &str, types: &[&str]) -> Result<i64> {
    let types = types.join("', '");
    scalar(url, format!("SELECT count(*) FROM events WHERE event_type IN ('{types}')")).await
}

/// How many public events there are.
///
/// # Errors
/// What PostgreSQL says.
pub async fn count_public(url: &str) -> Result<i64> {
    scalar(url, "SELECT count(*) FROM events WHERE lane IS NOT NULL".to_owned()).await
}

/// The last number given out, by lane.
///
/// # Errors
/// What PostgreSQL says.
pub async fn heads(url: &str) -> Result<BTreeMap<i32, i64>> {
    let mut database = PgConnection::connect(url).await?;
    let rows = sqlx::query("SELECT lane, head FROM lanes").fetch_all(&mut database).await?;
    Ok(rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()?)
}

/// The last number that was applied, by topic and lane.
///
/// # Errors
/// What PostgreSQL says.
pub async fn positions(url: &str) -> Result<BTreeMap<(String, i32), i64>> {
    let mut database = PgConnection::connect(url).await?;
    let rows =
        sqlx::query("SELECT topic, lane, last_seq FROM positions").fetch_all(&mut database).await?;
    let place = |row: &PgRow| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
    Ok(rows.iter().map(place).collect::<Result<_, sqlx::Error>>()?)
}

/// Who publishes.
///
/// # Errors
/// When nobody does, and what PostgreSQL says.
pub async fn relay_holder(url: &str) -> Result<String> {
    let mut database = PgConnection::connect(url).await?;
    let row = sqlx::query("SELECT holder FROM leases WHERE expires > now()")
        .fetch_optional(&mut database)
        .await?;
    Ok(row.context("nobody has the lease")?.try_get(0)?)
}
