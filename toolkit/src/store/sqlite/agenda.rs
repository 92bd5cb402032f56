//! The agenda: changes in an append, claims, and what people ask for (P13, P14).

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};
use uuid::Uuid;

use super::{
    connections::Connections,
    error::store_error,
    insert::{Into, Values, insert},
    load::uuid,
    number::{limit, micros, small},
};
use crate::{
    id::{AgendaId, SagaId},
    runtime::Timestamp,
    store::{
        Action, AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AgendaQuery, AgendaState,
        NewRuling, StoreError,
        agenda::{AgendaPlan, Tried},
        reason::kept,
    },
};

const END: &str = "
DELETE FROM agenda
 WHERE (id, token) IN (SELECT unhex(j.value ->> 0), unhex(j.value ->> 1) FROM json_each(?1) j)
RETURNING id";

const CLEAR: &str = "DELETE FROM agenda WHERE id IN (SELECT unhex(j.value) FROM json_each(?1) j)";

const TRY: &str = "
UPDATE agenda SET due = ?3, state = ?4, attempts = ?5, begun = ?6, outcome = ?7, reason = ?8,
                  leased_until = NULL
 WHERE id = ?1 AND token = ?2";

const PUT: Into = Into {
    head: "INSERT INTO agenda (id, kind, name, key, saga, causation, trace, payload, set_at, due, state, \
           attempts, begun, outcome, reason, token)",
    columns: 16,
    tail: "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, key = excluded.key, \
           saga = excluded.saga, causation = excluded.causation, trace = excluded.trace, \
           payload = excluded.payload, set_at = excluded.set_at, due = excluded.due, \
           state = excluded.state, attempts = excluded.attempts, begun = excluded.begun, \
           outcome = excluded.outcome, reason = excluded.reason, token = excluded.token, \
           leased_until = NULL",
};

/// What may be claimed of one name: a range of the index, from its start.
macro_rules! due {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM agenda WHERE kind = ?1 AND name = ?2 AND state = 'pending' AND due <= ?3 \
             AND (leased_until IS NULL OR leased_until <= ",
            now!(),
            ") ",
            $rest
        )
    };
}

const IS_DUE: &str = due!("1", "LIMIT 1");
const DUE: &str = due!("due, id", "ORDER BY due, id LIMIT ?4");

macro_rules! columns {
    () => {
        "id, kind, name, key, saga, causation, trace, payload, set_at, due, state, attempts, begun, \
         outcome, reason, token"
    };
}

/// `begun` as it was, and only then what the claim makes of it.
const CHOSEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM agenda WHERE id IN (SELECT unhex(j.value) FROM json_each(?1) j) ORDER BY due, id"
);

const LEASE: &str = concat!(
    "UPDATE agenda SET token = ?2, begun = begun OR kind = 'effect', leased_until = ?3 + ",
    now!(),
    " WHERE id IN (SELECT unhex(j.value) FROM json_each(?1) j)"
);

// Each of them has a plan of its own, along its index.
const ALL: &str = concat!("SELECT ", columns!(), " FROM agenda ORDER BY due, id LIMIT ?1");
const PENDING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM agenda WHERE state = 'pending' ORDER BY due, id LIMIT ?1"
);
const DEAD: &str =
    concat!("SELECT ", columns!(), " FROM agenda WHERE state = 'dead' ORDER BY due, id LIMIT ?1");
const OF_SAGA: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM agenda WHERE saga = ?2 AND (?3 IS NULL OR state = ?3) ORDER BY due, id LIMIT ?1"
);

const ONE: &str = concat!("SELECT ", columns!(), " FROM agenda WHERE id = ?1");

const REMOVE: &str = "DELETE FROM agenda WHERE id = ?1";

const REPLAY: &str = "
UPDATE agenda SET state = 'pending', due = ?2, outcome = coalesce(?3, outcome), leased_until = NULL
 WHERE id = ?1";

pub(super) async fn one(
    connection: &mut SqliteConnection,
    id: AgendaId,
) -> Result<Option<AgendaItem>, sqlx::Error> {
    let query = sqlx::query(ONE).bind(id.0.as_bytes().to_vec());
    query.fetch_optional(connection).await?.as_ref().map(item).transpose()
}

/// Does what was ruled on an item that was read in this transaction.
pub(super) async fn rule(
    connection: &mut SqliteConnection,
    id: AgendaId,
    new: &NewRuling,
) -> Result<(), sqlx::Error> {
    let of = |sql: &'static str| sqlx::query(sql).bind(id.0.as_bytes().to_vec());
    let query = match &new.action {
        Action::Skip | Action::Resolve => of(REMOVE),
        Action::Replay => of(REPLAY).bind(new.at.0).bind(None::<&[u8]>),
        Action::Answer { outcome } => of(REPLAY).bind(new.at.0).bind(Some(&**outcome)),
    };
    query.execute(connection).await.map(drop)
}

/// Makes the changes; the items that are not as they were claimed.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    changes: &[AgendaChange],
) -> Result<Vec<AgendaId>, sqlx::Error> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let plan = AgendaPlan::of(changes);
    let mut changed = end(connection, &plan.ended).await?;
    for tried in &plan.tried {
        if !try_again(connection, tried).await? {
            changed.push(tried.id);
        }
    }
    if !changed.is_empty() {
        return Ok(changed);
    }
    if !plan.cleared.is_empty() {
        let ids = json(plan.cleared.iter().map(|id| hex(id.0)))?;
        sqlx::query(CLEAR).bind(ids).execute(&mut *connection).await?;
    }
    let bind = |item: &&AgendaItem, _: usize, row: &mut Values<'_>| bind_item(item, row);
    insert(connection, &PUT, &plan.put, bind).await?;
    Ok(changed)
}

async fn end(
    connection: &mut SqliteConnection,
    ended: &[(AgendaId, Uuid)],
) -> Result<Vec<AgendaId>, sqlx::Error> {
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let pairs = json(ended.iter().map(|(id, token)| [hex(id.0), hex(*token)]))?;
    let rows = sqlx::query(END).bind(pairs).fetch_all(connection).await?;
    let id = |row: &SqliteRow| row.try_get(0).and_then(uuid).map(AgendaId);
    let gone = rows.iter().map(id).collect::<Result<Vec<_>, _>>()?;
    Ok(ended.iter().map(|(id, _)| *id).filter(|id| !gone.contains(id)).collect())
}

async fn try_again(
    connection: &mut SqliteConnection,
    tried: &Tried<'_>,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(TRY)
        .bind(&tried.id.0.as_bytes()[..])
        .bind(&tried.token.as_bytes()[..])
        .bind(tried.due.0)
        .bind(tried.state.name())
        .bind(tried.attempts)
        .bind(tried.begun)
        .bind(tried.outcome.map(|outcome| &**outcome))
        .bind(&*tried.reason);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

fn bind_item(item: &AgendaItem, row: &mut Values<'_>) {
    row.add(&item.id.0.as_bytes()[..])
        .add(item.kind.name())
        .add(&*item.name)
        .add(item.key.clone())
        .add(&item.saga.0.as_bytes()[..])
        .add(&*item.causation)
        .add(item.trace.clone())
        .add(&*item.payload)
        .add(item.set_at.0)
        .add(item.due.0)
        .add(item.state.name())
        .add(item.attempts)
        .add(item.begun)
        .add(item.outcome.as_deref())
        .add(kept(&item.reason).into_owned())
        .add(&item.token.as_bytes()[..]);
}

/// Asks a reader first: mostly nothing is due, and then no writer has to wait.
pub(super) async fn claim(
    writer: &Connections,
    readers: &Connections,
    claim: &AgendaClaim,
) -> Result<Vec<AgendaItem>, StoreError> {
    if !is_due(readers, claim).await? {
        return Ok(Vec::new());
    }
    let mut write = writer.write().await?;
    match take(write.connection(), claim).await {
        Ok(items) => {
            write.commit().await.map_err(store_error)?;
            Ok(items)
        }
        Err(error) => {
            write.roll_back().await;
            Err(store_error(error))
        }
    }
}

async fn is_due(readers: &Connections, claim: &AgendaClaim) -> Result<bool, StoreError> {
    let mut lent = readers.lend().await?;
    let mut found = false;
    for name in names(claim) {
        let query = sqlx::query(IS_DUE).bind(claim.kind.name()).bind(name).bind(claim.now.0);
        let row = query.fetch_optional(lent.connection()).await.map_err(store_error)?;
        found = row.is_some();
        if found {
            break;
        }
    }
    lent.give_back();
    Ok(found)
}

async fn take(
    connection: &mut SqliteConnection,
    claim: &AgendaClaim,
) -> Result<Vec<AgendaItem>, sqlx::Error> {
    let mut due: Vec<(i64, Uuid)> = Vec::new();
    for name in names(claim) {
        let query = sqlx::query(DUE).bind(claim.kind.name()).bind(name);
        let query = query.bind(claim.now.0).bind(limit(claim.limit));
        for row in query.fetch_all(&mut *connection).await? {
            due.push((row.try_get(0)?, row.try_get(1).and_then(uuid)?));
        }
    }
    due.sort();
    due.truncate(claim.limit);
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(due.iter().map(|(_, id)| hex(*id)))?;
    let rows = sqlx::query(CHOSEN).bind(ids.as_str()).fetch_all(&mut *connection).await?;
    sqlx::query(LEASE)
        .bind(ids)
        .bind(&claim.token.as_bytes()[..])
        .bind(micros(claim.lease))
        .execute(connection)
        .await?;
    rows.iter().map(|row| Ok(AgendaItem { token: claim.token, ..item(row)? })).collect()
}

/// The names of a claim, each once.
fn names(claim: &AgendaClaim) -> Vec<&str> {
    let mut names: Vec<&str> = claim.names.iter().map(|name| &**name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

pub(super) async fn find(
    readers: &Connections,
    query: &AgendaQuery,
) -> Result<Vec<AgendaItem>, StoreError> {
    let sql = match (query.saga, query.state) {
        (Some(_), _) => OF_SAGA,
        (None, Some(AgendaState::Pending)) => PENDING,
        (None, Some(AgendaState::Dead)) => DEAD,
        (None, None) => ALL,
    };
    let saga = query.saga.map(|saga| saga.0);
    let mut asked = sqlx::query(sql).bind(limit(query.limit));
    if let Some(saga) = &saga {
        asked = asked.bind(&saga.as_bytes()[..]).bind(query.state.map(AgendaState::name));
    }
    let mut lent = readers.lend().await?;
    let rows = asked.fetch_all(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    rows.iter().map(item).collect::<Result<_, _>>().map_err(store_error)
}

fn item(row: &SqliteRow) -> Result<AgendaItem, sqlx::Error> {
    Ok(AgendaItem {
        id: AgendaId(row.try_get(0).and_then(uuid)?),
        kind: AgendaKind::named(row.try_get(1)?),
        name: row.try_get::<String, _>(2)?.into(),
        key: row.try_get::<&str, _>(3)?.into(),
        saga: SagaId(row.try_get(4).and_then(uuid)?),
        causation: row.try_get(5)?,
        trace: row.try_get::<Option<&str>, _>(6)?.map(Arc::from),
        payload: Bytes::from(row.try_get::<Vec<u8>, _>(7)?),
        set_at: Timestamp(row.try_get(8)?),
        due: Timestamp(row.try_get(9)?),
        state: AgendaState::named(row.try_get(10)?),
        attempts: small(row.try_get(11)?),
        begun: row.try_get(12)?,
        outcome: row.try_get::<Option<Vec<u8>>, _>(13)?.map(Bytes::from),
        reason: row.try_get(14)?,
        token: row.try_get(15).and_then(uuid)?,
    })
}

fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// A JSON array of texts and of arrays of texts.
fn json<T: Serialize>(values: impl Iterator<Item = T>) -> Result<String, sqlx::Error> {
    let values: Vec<T> = values.collect();
    serde_json::to_string(&values).map_err(|error| sqlx::Error::Encode(error.into()))
}
