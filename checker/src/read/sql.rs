//! A service's tables.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use crate::evidence::{Event, Held, Item, Place, Position, Store};

/// Everything that the check needs of a database, in one snapshot.
///
/// # Errors
/// What PostgreSQL says.
pub async fn read(url: &str) -> Result<Store> {
    let mut connection = PgConnection::connect(url).await?;
    let mut snapshot = connection.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut *snapshot)
        .await?;
    macro_rules! rows {
        ($query:literal, $read:expr) => {
            sqlx::query($query)
                .fetch_all(&mut *snapshot)
                .await?
                .iter()
                .map($read)
                .collect::<Result<_, sqlx::Error>>()?
        };
    }
    Ok(Store {
        events: rows!("SELECT * FROM events", event),
        heads: rows!("SELECT lane, head FROM lanes", |row| Ok((row.try_get(0)?, row.try_get(1)?))),
        positions: rows!("SELECT * FROM positions", position),
        held: rows!("SELECT * FROM held ORDER BY topic, lane, seq", held),
        agenda: rows!("SELECT * FROM agenda ORDER BY due", item),
        causes: rows!("SELECT id FROM causes", |row: &PgRow| row.try_get(0)),
        gaps: rows!("SELECT topic, lane, first, last FROM gaps", |row| {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
        }),
    })
}

fn event(row: &PgRow) -> Result<Event, sqlx::Error> {
    let lane: Option<i32> = row.try_get("lane")?;
    let place = match lane {
        Some(lane) => Some(Place { lane, seq: row.try_get("lane_seq")?, key: row.try_get("key")? }),
        None => None,
    };
    Ok(Event {
        id: row.try_get("id")?,
        saga: row.try_get("saga")?,
        stream: row.try_get("stream")?,
        version: row.try_get("version")?,
        event_type: row.try_get("event_type")?,
        causation: row.try_get("causation")?,
        time: row.try_get("time")?,
        payload: row.try_get("payload")?,
        place,
    })
}

fn position(row: &PgRow) -> Result<Position, sqlx::Error> {
    Ok(Position {
        topic: row.try_get("topic")?,
        lane: row.try_get("lane")?,
        last_seq: row.try_get("last_seq")?,
        last_id: row.try_get("last_id")?,
    })
}

fn held(row: &PgRow) -> Result<Held, sqlx::Error> {
    Ok(Held {
        topic: row.try_get("topic")?,
        lane: row.try_get("lane")?,
        id: row.try_get("id")?,
        key: row.try_get("key")?,
        seq: row.try_get("seq")?,
        state: row.try_get("state")?,
        next_at: row.try_get("next_at")?,
        reason: row.try_get("reason")?,
    })
}

fn item(row: &PgRow) -> Result<Item, sqlx::Error> {
    Ok(Item {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        state: row.try_get("state")?,
        name: row.try_get("name")?,
        key: row.try_get("key")?,
        due: row.try_get("due")?,
        reason: row.try_get("reason")?,
    })
}
