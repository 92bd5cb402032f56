//! The append: one call, and what its failure means.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use futures_util::FutureExt as _;
use sqlx::{
    Error, Row as _,
    postgres::{PgArguments, PgRow},
};
use tokio::sync::OwnedRwLockReadGuard;
use uuid::Uuid;

use super::{
    PostgresStore, agenda,
    arguments::{self, Prepared},
    connections::Lent,
    error::{Failure, failure, store_error, unavailable},
    number::{signed, stored_lane, unsigned},
    rows,
};
use crate::{
    id::{AgendaId, CauseId, EventId, SourceLane, StreamId},
    store::{
        Append, AppendError, Appended, InboxEntry, PositionMove, StoreError, agenda::AgendaPlan,
    },
};

const MOVED: &str = "
SELECT u.stream FROM unnest($1::text[], $2::int8[]) u(stream, version)
 WHERE u.version IS DISTINCT FROM coalesce(
       (SELECT e.version FROM events e WHERE e.stream = u.stream ORDER BY e.version DESC LIMIT 1), 0)";

const SEEN: &str = "
SELECT u.n FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(source, id, n)
 WHERE EXISTS (SELECT FROM inbox i WHERE i.source = u.source AND i.id = u.id OFFSET 0) ORDER BY u.n";

/// `OFFSET 0` keeps a look-up for each from becoming a join, which may go through the whole table.
const USED: &str = "
SELECT u.id FROM unnest($1::uuid[]) u(id) WHERE EXISTS (SELECT FROM causes c WHERE c.id = u.id OFFSET 0)";

pub(super) async fn run(store: &PostgresStore, append: &Append) -> Result<Appended, AppendError> {
    let lanes = lanes(store).await.map_err(unavailable)?;
    if let Some(flaw) = append.flaw(lanes) {
        return Err(AppendError::Rejected(flaw.into()));
    }
    let twice = twice(append);
    if !twice.is_empty() {
        let mut causes = used(store, append).await.map_err(unavailable)?;
        causes.extend(twice);
        return Err(AppendError::AlreadyDone { causes: causes.into_iter().collect() });
    }
    let Prepared { sql, arguments, positions, lanes } =
        arguments::prepare(append).map_err(AppendError::Rejected)?;
    let under_way = store.under_way.clone().read_owned().await;
    let lent = store.appenders.lend().await.map_err(unavailable)?;
    // It is on its way before a task of its own is there, which the runtime may let wait for whatever its thread does next.
    let mut sending = Box::pin(send(lent, sql, arguments, under_way));
    let ended = match sending.as_mut().now_or_never() {
        Some(ended) => Ok(ended),
        // In a task of its own: it goes to its end although the caller may be dropped.
        None => tokio::spawn(sending).await,
    };
    match ended {
        Ok(Ok((firsts, last))) => {
            let last = lanes.iter().zip(last).filter_map(|(lane, id)| Some((*lane, EventId(id?))));
            let follows = last.collect();
            let firsts = firsts.into_iter().map(unsigned);
            Ok(Appended { first_in_lane: lanes.into_iter().zip(firsts).collect(), follows })
        }
        Ok(Err(error)) => Err(explain(store, append, &positions, error).await),
        Err(gone) => Err(AppendError::Unknown(gone.into())),
    }
}

/// How many lanes the store has, from its registration on.
async fn lanes(store: &PostgresStore) -> Result<u32, StoreError> {
    let known = store.lanes.load(Ordering::Relaxed);
    if known > 0 {
        return Ok(known);
    }
    let found = rows(&store.others, sqlx::query("SELECT lanes FROM service")).await?;
    let lanes = found.first().map(|row| row.try_get(0)).transpose().map_err(store_error)?;
    let lanes = lanes.map_or(0, stored_lane);
    store.lanes.store(lanes, Ordering::Relaxed);
    Ok(lanes)
}

async fn send(
    lent: Lent,
    sql: &'static str,
    arguments: PgArguments,
    under_way: OwnedRwLockReadGuard<()>,
) -> Result<(Vec<i64>, Vec<Option<Uuid>>), Error> {
    let rows = lent.fetch(sqlx::query_with(sql, arguments)).await;
    drop(under_way);
    let rows = rows?;
    let row = rows.first().ok_or(Error::RowNotFound)?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Causes that are answered more than once in the append itself.
fn twice(append: &Append) -> BTreeSet<CauseId> {
    let mut seen = BTreeSet::new();
    let again =
        append.answers.iter().map(|answer| answer.cause).filter(|cause| !seen.insert(*cause));
    again.collect()
}

async fn explain(
    store: &PostgresStore,
    append: &Append,
    positions: &[&PositionMove],
    error: Error,
) -> AppendError {
    match failure(&error) {
        Failure::Refused => AppendError::Rejected(error.into()),
        Failure::NotNow => AppendError::Unavailable(error.into()),
        Failure::InDoubt => AppendError::Unknown(error.into()),
        failed => {
            // What was done before shows last on the server, and comes first here.
            match used(store, append).await {
                Ok(causes) if causes.is_empty() => outdated(store, append, positions, failed).await,
                Ok(causes) => AppendError::AlreadyDone { causes: causes.into_iter().collect() },
                Err(error) => unavailable(error),
            }
        }
    }
}

/// Names what is not as it was read.
async fn outdated(
    store: &PostgresStore,
    append: &Append,
    positions: &[&PositionMove],
    failed: Failure,
) -> AppendError {
    // The server looks at the inbox last; here only positions come before it.
    if !append.inbox.is_empty() && !matches!(failed, Failure::PositionLost(_)) {
        match seen(store, append).await {
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => return AppendError::SeenBefore { entries },
            Err(error) => return unavailable(error),
        }
    }
    match failed {
        Failure::PositionLost(places) => {
            let lost = places.iter().filter_map(|n| positions.get(*n));
            AppendError::PositionLost { lanes: lost.map(|moved| moved.source.clone()).collect() }
        }
        Failure::HeldChanged(places) => {
            let changes = places.iter().filter_map(|n| append.held.get(*n));
            let lanes: BTreeSet<SourceLane> = changes.map(|c| c.source().clone()).collect();
            AppendError::HeldChanged { lanes: lanes.into_iter().collect() }
        }
        // The server looks at the agenda last; here it comes before the streams.
        _ => match changed(store, append, failed == Failure::AgendaChanged).await {
            ids if !ids.is_empty() => AppendError::AgendaChanged { ids },
            _ if failed == Failure::StreamsMoved => {
                // Whoever cannot say which must say: all.
                AppendError::Conflict { streams: moved(store, append).await.unwrap_or_default() }
            }
            _ => AppendError::Conflict { streams: Vec::new() },
        },
    }
}

/// The events of the append that were taken before.
async fn seen(store: &PostgresStore, append: &Append) -> Result<Vec<InboxEntry>, StoreError> {
    let (sources, ids): (Vec<&str>, Vec<&str>) =
        append.inbox.iter().map(|entry| (&*entry.source, &*entry.id)).unzip();
    let found = rows(&store.others, sqlx::query(SEEN).bind(sources).bind(ids)).await?;
    let place = |row: &PgRow| row.try_get::<i64, _>(0);
    let places: Vec<i64> =
        found.iter().map(place).collect::<Result<_, _>>().map_err(store_error)?;
    let entry = |n: i64| append.inbox.get(usize::try_from(n - 1).ok()?).cloned();
    Ok(places.into_iter().filter_map(entry).collect())
}

/// The items of the agenda that are not as they were claimed; `surely` when there are some.
async fn changed(store: &PostgresStore, append: &Append, surely: bool) -> Vec<AgendaId> {
    let plan = AgendaPlan::of(&append.agenda);
    let tried = plan.tried.iter().map(|tried| (tried.id, tried.token));
    let claimed: Vec<_> = plan.ended.iter().copied().chain(tried).collect();
    if claimed.is_empty() {
        return Vec::new();
    }
    let found = agenda::changed(&store.others, &claimed).await.unwrap_or_default();
    if found.is_empty() && surely {
        // Whoever cannot say which must say: all.
        return claimed.into_iter().map(|(id, _)| id).collect();
    }
    found
}

/// The reads that are not current, among all: the append itself looks only as far as it must.
async fn moved(store: &PostgresStore, append: &Append) -> Result<Vec<StreamId>, StoreError> {
    let (streams, heads): (Vec<&str>, Vec<i64>) =
        append.reads.iter().map(|(stream, head)| (stream.as_str(), signed(*head))).unzip();
    let found = rows(&store.others, sqlx::query(MOVED).bind(streams).bind(heads)).await?;
    let stream = |row: &PgRow| row.try_get(0).map(StreamId::from_stored);
    found.iter().map(stream).collect::<Result<_, _>>().map_err(store_error)
}

/// The causes of the append that were used before.
async fn used(store: &PostgresStore, append: &Append) -> Result<BTreeSet<CauseId>, StoreError> {
    let found = rows(&store.others, sqlx::query(USED).bind(arguments::causes(append))).await?;
    let cause = |row: &PgRow| row.try_get(0).map(CauseId);
    found.iter().map(cause).collect::<Result<_, _>>().map_err(store_error)
}
