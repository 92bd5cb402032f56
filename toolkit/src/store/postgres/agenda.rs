//! The agenda: changes in an append, claims, and what people ask for (P13, P14).

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use sqlx::{
    Encode, Postgres, Row as _, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, types::PgRecordEncoder},
};
use uuid::Uuid;

use super::{
    arguments::Arrays,
    connections::Connections,
    error::store_error,
    number::{limit, micros, small},
    rows,
};
use crate::{
    id::{AgendaId, SagaId},
    runtime::Timestamp,
    store::{
        AgendaClaim, AgendaItem, AgendaKind, AgendaQuery, AgendaState, StoreError,
        agenda::{AgendaPlan, Tried},
        reason::kept,
    },
};

macro_rules! columns {
    ($($rest:literal)*) => {
        concat!(
            "SELECT set_at, due, attempts, id, token, saga, begun, kind, state, name, key, causation, ",
            "trace, reason, payload, outcome FROM "
            $(, $rest)*
        )
    };
}

const CLAIM: &str = columns!("claim_agenda($1, $2, $3, $4, $5, $6) ORDER BY due, id");

// Each of them has a generic plan of its own, along its index.
const ALL: &str = columns!("agenda ORDER BY due, id LIMIT $1");
const PENDING: &str = columns!("agenda WHERE state = 'pending' ORDER BY due, id LIMIT $1");
const DEAD: &str = columns!("agenda WHERE state = 'dead' ORDER BY due, id LIMIT $1");
const OF_SAGA: &str = columns!(
    "agenda WHERE saga = $2 AND ($3::text IS NULL OR state = $3) ORDER BY due, id LIMIT $1"
);

const ONE: &str = columns!("agenda WHERE id = $1");

const TOKENS: &str = "SELECT id, token FROM agenda WHERE id = ANY ($1)";

/// Adds the arguments of the server's function `change_agenda`, but for the first.
pub(super) fn arguments(add: &mut Arrays<'_>, plan: &AgendaPlan<'_>) -> Result<(), BoxDynError> {
    add.all(plan.ended.iter().map(|(id, _)| id.0))?;
    add.all(plan.ended.iter().map(|(_, token)| *token))?;
    add.all(plan.cleared.iter().map(|id| id.0))?;
    tried(add, &plan.tried)?;
    add.all(plan.put.iter().map(|item| ItemRow(item)))
}

fn tried(add: &mut Arrays<'_>, tried: &[Tried<'_>]) -> Result<(), BoxDynError> {
    add.all(tried.iter().map(|tried| tried.id.0))?;
    add.all(tried.iter().map(|tried| tried.token))?;
    add.all(tried.iter().map(|tried| tried.due.0))?;
    add.all(tried.iter().map(|tried| tried.state.name()))?;
    add.all(tried.iter().map(|tried| i64::from(tried.attempts)))?;
    add.all(tried.iter().map(|tried| tried.begun))?;
    add.all(tried.iter().map(|tried| tried.outcome.map(|outcome| &**outcome)))?;
    add.all(tried.iter().map(|tried| &*tried.reason))
}

/// An item as the server's type `new_agenda` has it, field by field in its order.
struct ItemRow<'a>(&'a AgendaItem);

impl Type<Postgres> for ItemRow<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("new_agenda")
    }
}

impl PgHasArrayType for ItemRow<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("new_agenda")
    }
}

impl<'q> Encode<'q, Postgres> for ItemRow<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let item = self.0;
        let mut fields = PgRecordEncoder::new(buffer);
        fields
            .encode(item.set_at.0)?
            .encode(item.due.0)?
            .encode(i64::from(item.attempts))?
            .encode(item.id.0)?
            .encode(item.token)?
            .encode(item.saga.0)?
            .encode(item.begun)?
            .encode(item.kind.name())?
            .encode(item.state.name())?
            .encode(&*item.name)?
            .encode(&*item.key)?
            .encode(&*item.causation)?
            .encode(item.trace.as_deref())?
            .encode(&*kept(&item.reason))?
            .encode(&*item.payload)?
            .encode(item.outcome.as_deref())?
            .finish();
        Ok(IsNull::No)
    }
}

/// Those of the claimed ones that are not as they were claimed.
pub(super) async fn changed(
    connections: &Arc<Connections>,
    claimed: &[(AgendaId, Uuid)],
) -> Result<Vec<AgendaId>, StoreError> {
    let ids: Vec<Uuid> = claimed.iter().map(|(id, _)| id.0).collect();
    let found = rows(connections, sqlx::query(TOKENS).bind(ids)).await?;
    let token = |row: &PgRow| Ok((AgendaId(row.try_get(0)?), row.try_get(1)?));
    let tokens: Result<HashMap<AgendaId, Uuid>, _> = found.iter().map(token).collect();
    let tokens = tokens.map_err(store_error)?;
    let is_void = |(id, token): &&(AgendaId, Uuid)| tokens.get(id) != Some(token);
    Ok(claimed.iter().filter(is_void).map(|(id, _)| *id).collect())
}

pub(super) async fn claim(
    connections: &Arc<Connections>,
    claim: &AgendaClaim,
) -> Result<Vec<AgendaItem>, StoreError> {
    let query = sqlx::query(CLAIM)
        .bind(claim.kind.name())
        .bind(claim.names.iter().map(|name| &**name).collect::<Vec<&str>>())
        .bind(claim.now.0)
        .bind(claim.token)
        .bind(micros(claim.lease))
        .bind(limit(claim.limit));
    items(&rows(connections, query).await?)
}

pub(super) async fn one(
    connections: &Arc<Connections>,
    id: AgendaId,
) -> Result<Option<AgendaItem>, StoreError> {
    Ok(items(&rows(connections, sqlx::query(ONE).bind(id.0)).await?)?.pop())
}

pub(super) async fn find(
    connections: &Arc<Connections>,
    query: &AgendaQuery,
) -> Result<Vec<AgendaItem>, StoreError> {
    let state = query.state.map(AgendaState::name);
    let sql = match (query.saga, query.state) {
        (Some(_), _) => OF_SAGA,
        (None, Some(AgendaState::Pending)) => PENDING,
        (None, Some(AgendaState::Dead)) => DEAD,
        (None, None) => ALL,
    };
    let mut asked = sqlx::query(sql).bind(limit(query.limit));
    if let Some(saga) = query.saga {
        asked = asked.bind(saga.0).bind(state);
    }
    items(&rows(connections, asked).await?)
}

fn items(rows: &[PgRow]) -> Result<Vec<AgendaItem>, StoreError> {
    rows.iter().map(item).collect::<Result<_, _>>().map_err(store_error)
}

fn item(row: &PgRow) -> Result<AgendaItem, sqlx::Error> {
    Ok(AgendaItem {
        set_at: Timestamp(row.try_get(0)?),
        due: Timestamp(row.try_get(1)?),
        attempts: small(row.try_get(2)?),
        id: AgendaId(row.try_get(3)?),
        token: row.try_get(4)?,
        saga: SagaId(row.try_get(5)?),
        begun: row.try_get(6)?,
        kind: AgendaKind::named(row.try_get(7)?),
        state: AgendaState::named(row.try_get(8)?),
        name: row.try_get::<String, _>(9)?.into(),
        key: row.try_get::<&str, _>(10)?.into(),
        causation: row.try_get(11)?,
        trace: row.try_get::<Option<&str>, _>(12)?.map(Arc::from),
        reason: row.try_get(13)?,
        payload: Bytes::from(row.try_get::<Vec<u8>, _>(14)?),
        outcome: row.try_get::<Option<Vec<u8>>, _>(15)?.map(Bytes::from),
    })
}
