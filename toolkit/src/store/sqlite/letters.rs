//! Dead letters, what persons rule on them, and sagas: for people (P11, P12).

use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{
    agenda,
    connections::Connections,
    error::store_error,
    held, load,
    number::{limit, signed, unsigned},
};
use crate::{
    id::SagaId,
    runtime::Timestamp,
    store::{
        HeldMessage, Letter, LetterCounts, LetterId, NewRuling, RecordedEvent, Ruled, Ruling,
        RulingQuery, StoreError,
        letters::{COUNT_LETTERS, saga_since},
        reason::kept,
    },
};

const LAST: &str = "SELECT max(number) FROM events";
const AT_OR_AFTER: &str =
    "SELECT number, time FROM events WHERE number >= ?1 ORDER BY number LIMIT 1";

const SAGA: &str = "
SELECT stream, version, id, event_type, payload, saga, causation, time, trace, lane, lane_seq, key
  FROM events WHERE number >= ?1 AND saga = ?2 ORDER BY time, id LIMIT ?3";

const RECORD: &str = "
INSERT INTO rulings (at, who, action, note, letter, event_type, key, saga, reason)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING number";

macro_rules! rulings {
    ($where:literal) => {
        concat!(
            "SELECT number, at, who, action, note, letter, event_type, key, saga, reason FROM rulings ",
            $where,
            " ORDER BY number LIMIT ?2"
        )
    };
}

const ALL: &str = rulings!("WHERE number > ?1");
const OF_SAGA: &str = rulings!("WHERE number > ?1 AND saga = ?3");

pub(super) async fn held_of_saga(
    readers: &Connections,
    saga: SagaId,
    max: usize,
) -> Result<Vec<HeldMessage>, StoreError> {
    let mut lent = readers.lend().await?;
    let query = sqlx::query(held::OF_SAGA).bind(saga.to_string()).bind(limit(max));
    let rows = query.fetch_all(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    rows.iter().map(held::message).collect::<Result<_, _>>().map_err(store_error)
}

/// Rows stand in the order of their appends, so that the time of a saga's beginning leads to a row: no index
/// is kept for it, and an append pays nothing.
pub(super) async fn saga_events(
    readers: &Connections,
    saga: SagaId,
    max: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut lent = readers.lend().await?;
    let first = first_since(lent.connection(), saga_since(saga)).await.map_err(store_error)?;
    let query = sqlx::query(SAGA).bind(first).bind(&saga.0.as_bytes()[..]).bind(limit(max));
    let rows = query.fetch_all(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    load::events(&rows)
}

/// A row before which there is none of that time or later, found by halving: about twenty reads in a million rows.
async fn first_since(
    connection: &mut SqliteConnection,
    since: Timestamp,
) -> Result<i64, sqlx::Error> {
    let last: Option<i64> = sqlx::query_scalar(LAST).fetch_one(&mut *connection).await?;
    let (mut from, mut to) = (1, last.unwrap_or(0));
    while from < to {
        let middle = from + (to - from) / 2;
        let row = sqlx::query(AT_OR_AFTER).bind(middle).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(from) };
        let (number, time): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if time < since.0 {
            from = number + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

pub(super) async fn letter(
    readers: &Connections,
    id: &LetterId,
) -> Result<Option<Letter>, StoreError> {
    let mut lent = readers.lend().await?;
    let found = find(lent.connection(), id).await.map_err(store_error)?;
    lent.give_back();
    Ok(found)
}

pub(super) async fn count(readers: &Connections) -> Result<LetterCounts, StoreError> {
    let mut lent = readers.lend().await?;
    let query = sqlx::query(COUNT_LETTERS).fetch_all(lent.connection());
    let found = query.await.map_err(store_error)?;
    lent.give_back();
    let counts = found.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(LetterCounts::of(counts.collect::<Result<Vec<_>, _>>().map_err(store_error)?))
}

async fn find(
    connection: &mut SqliteConnection,
    id: &LetterId,
) -> Result<Option<Letter>, sqlx::Error> {
    match id {
        LetterId::Message { source, id } => {
            let query = sqlx::query(held::ONE).bind(source.topic.clone()).bind(source.lane.0);
            let row = query.bind(id.as_str()).fetch_optional(connection).await?;
            let message = row.as_ref().map(held::message).transpose()?;
            Ok(message.map(|message| Letter::Message(Box::new(message))))
        }
        LetterId::Agenda(id) => {
            let item = agenda::one(connection, *id).await?;
            Ok(item.map(|item| Letter::Item(Box::new(item))))
        }
    }
}

pub(super) async fn rule(writer: &Connections, new: &NewRuling) -> Result<Ruled, StoreError> {
    let mut write = writer.write().await?;
    match do_rule(write.connection(), new).await {
        Ok(ruled @ Ruled::Done(_)) => {
            write.commit().await.map_err(store_error)?;
            Ok(ruled)
        }
        Ok(refused) => {
            write.roll_back().await;
            Ok(refused)
        }
        Err(error) => {
            write.roll_back().await;
            Err(store_error(error))
        }
    }
}

async fn do_rule(connection: &mut SqliteConnection, new: &NewRuling) -> Result<Ruled, sqlx::Error> {
    let Some(letter) = find(connection, &new.letter).await? else { return Ok(Ruled::NotThere) };
    if let Some(refused) = letter.refuses(new) {
        return Ok(refused);
    }
    match &letter {
        Letter::Message(message) => held::rule(connection, message, new).await?,
        Letter::Item(item) => agenda::rule(connection, item.id, new).await?,
    }
    let about = letter.about();
    let number: i64 = sqlx::query_scalar(RECORD)
        .bind(new.at.0)
        .bind(kept(&new.who))
        .bind(new.action.name())
        .bind(kept(&new.note))
        .bind(new.letter.to_string())
        .bind(about.event_type)
        .bind(about.key)
        .bind(about.saga)
        .bind(about.reason)
        .fetch_one(connection)
        .await?;
    Ok(Ruled::Done(unsigned(number)))
}

pub(super) async fn rulings(
    readers: &Connections,
    query: &RulingQuery,
) -> Result<Vec<Ruling>, StoreError> {
    let sql = if query.saga.is_some() { OF_SAGA } else { ALL };
    let mut asked = sqlx::query(sql).bind(signed(query.after)).bind(limit(query.limit));
    if let Some(saga) = query.saga {
        asked = asked.bind(saga.to_string());
    }
    let mut lent = readers.lend().await?;
    let rows = asked.fetch_all(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    rows.iter().map(ruling).collect()
}

fn ruling(row: &SqliteRow) -> Result<Ruling, StoreError> {
    let text = |n: usize| row.try_get::<String, _>(n).map_err(store_error);
    Ok(Ruling {
        number: unsigned(row.try_get(0).map_err(store_error)?),
        at: Timestamp(row.try_get(1).map_err(store_error)?),
        who: text(2)?,
        action: text(3)?,
        note: text(4)?,
        letter: text(5)?.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?,
        event_type: text(6)?,
        key: text(7)?,
        saga: row.try_get(8).map_err(store_error)?,
        reason: text(9)?,
    })
}
