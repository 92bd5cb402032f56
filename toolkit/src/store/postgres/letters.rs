//! Dead letters, what persons rule on them, and sagas: for people (P11, P12).

use std::sync::Arc;

use sqlx::{Row as _, postgres::PgRow};

use super::{
    agenda,
    connections::Connections,
    error::store_error,
    held, load,
    number::{lane, limit, signed, unsigned},
    rows,
};
use crate::{
    id::SagaId,
    runtime::Timestamp,
    store::{
        Action, HeldMessage, Letter, LetterCounts, LetterId, NewRuling, RecordedEvent, Ruled,
        Ruling, RulingQuery, StoreError,
        letters::{COUNT_LETTERS, saga_since},
        reason::kept,
    },
};

const RULE: &str = "
SELECT rule_on_letter($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const SAGA: &str = "
SELECT stream, version, id, event_type, payload, saga, causation, time, trace, lane, lane_seq, key
  FROM saga_events($1, $2, $3) ORDER BY time, id";

macro_rules! rulings {
    ($where:literal) => {
        concat!(
            "SELECT number, at, who, action, note, letter, event_type, key, saga, reason FROM rulings ",
            $where,
            " ORDER BY number LIMIT $2"
        )
    };
}

const ALL: &str = rulings!("WHERE number > $1");
const OF_SAGA: &str = rulings!("WHERE number > $1 AND saga = $3");

/// How often a ruling looks again at a letter that changes under its hands.
const LOOKS_MAX: usize = 3;

pub(super) async fn held_of_saga(
    connections: &Arc<Connections>,
    saga: SagaId,
    max: usize,
) -> Result<Vec<HeldMessage>, StoreError> {
    let query = sqlx::query(held::OF_SAGA).bind(saga.to_string()).bind(limit(max));
    let found = rows(connections, query).await?;
    found.iter().map(held::message).collect::<Result<_, _>>().map_err(store_error)
}

pub(super) async fn saga_events(
    connections: &Arc<Connections>,
    saga: SagaId,
    max: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let query = sqlx::query(SAGA).bind(saga.0).bind(saga_since(saga).0).bind(limit(max));
    load::events(&rows(connections, query).await?)
}

pub(super) async fn letter(
    connections: &Arc<Connections>,
    id: &LetterId,
) -> Result<Option<Letter>, StoreError> {
    match id {
        LetterId::Message { source, id } => {
            let query = sqlx::query(held::ONE).bind(&*source.topic).bind(lane(source.lane.0));
            let found = rows(connections, query.bind(id.as_str())).await?;
            let message = found.first().map(held::message).transpose().map_err(store_error)?;
            Ok(message.map(|message| Letter::Message(Box::new(message))))
        }
        LetterId::Agenda(id) => {
            let item = agenda::one(connections, *id).await?;
            Ok(item.map(|item| Letter::Item(Box::new(item))))
        }
    }
}

pub(super) async fn count(connections: &Arc<Connections>) -> Result<LetterCounts, StoreError> {
    let found = rows(connections, sqlx::query(COUNT_LETTERS)).await?;
    let counts = found.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(LetterCounts::of(counts.collect::<Result<Vec<_>, _>>().map_err(store_error)?))
}

/// Looks, judges, and has the server do it if the letter is still as it was: no transaction is open meanwhile.
pub(super) async fn rule(
    connections: &Arc<Connections>,
    new: &NewRuling,
) -> Result<Ruled, StoreError> {
    for _ in 0..LOOKS_MAX {
        let Some(letter) = letter(connections, &new.letter).await? else {
            return Ok(Ruled::NotThere);
        };
        if let Some(refused) = letter.refuses(new) {
            return Ok(refused);
        }
        if let Some(number) = try_rule(connections, new, &letter).await? {
            return Ok(Ruled::Done(unsigned(number)));
        }
    }
    Ok(Ruled::Changed)
}

async fn try_rule(
    connections: &Arc<Connections>,
    new: &NewRuling,
    letter: &Letter,
) -> Result<Option<i64>, StoreError> {
    let (message, item) = match letter {
        Letter::Message(message) => (Some(message), None),
        Letter::Item(item) => (None, Some(item)),
    };
    let state = match letter {
        Letter::Message(message) => message.state.name(),
        Letter::Item(item) => item.state.name(),
    };
    let outcome = match &new.action {
        Action::Answer { outcome } => Some(&**outcome),
        Action::Replay | Action::Skip | Action::Resolve => None,
    };
    let query = sqlx::query(RULE)
        .bind(new.at.0)
        .bind(kept(&new.who))
        .bind(new.action.name())
        .bind(kept(&new.note))
        .bind(new.letter.to_string())
        .bind(state)
        .bind(i64::from(new.attempts))
        .bind(message.map(|message| &*message.source.topic))
        .bind(message.map(|message| lane(message.source.lane.0)))
        .bind(message.map(|message| message.id.as_str()))
        .bind(item.map(|item| item.id.0))
        .bind(item.map(|item| item.token))
        .bind(outcome);
    let found = rows(connections, query).await?;
    let number = |row: &PgRow| row.try_get::<Option<i64>, _>(0);
    Ok(found.first().map(number).transpose().map_err(store_error)?.flatten())
}

pub(super) async fn rulings(
    connections: &Arc<Connections>,
    query: &RulingQuery,
) -> Result<Vec<Ruling>, StoreError> {
    let sql = if query.saga.is_some() { OF_SAGA } else { ALL };
    let mut asked = sqlx::query(sql).bind(signed(query.after)).bind(limit(query.limit));
    if let Some(saga) = query.saga {
        asked = asked.bind(saga.to_string());
    }
    rows(connections, asked).await?.iter().map(ruling).collect()
}

fn ruling(row: &PgRow) -> Result<Ruling, StoreError> {
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
