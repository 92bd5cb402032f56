//! Reads of streams and lanes.

use std::fmt::Write as _;

use bytes::Bytes;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    connections::Connections,
    error::store_error,
    number::{limit, signed, unsigned},
};
use crate::{
    id::{EventId, Lane, LaneSeq, SagaId, StreamId},
    runtime::Timestamp,
    store::{Published, RecordedEvent, StoreError, StreamRead, StreamSlice},
};

/// One statement is one snapshot of the store. Each stream is asked for as ten digits of the snapshot's
/// shape and the stream's id: taken apart by `substr`, for nested JSON would be parsed once more for
/// each stream. A row without an id is a snapshot; a stream that does not exist has no row at all.
const STREAMS: &str = "
WITH asked AS (
    SELECT key AS n, substr(value, 11) AS stream, CAST(substr(value, 1, 10) AS INTEGER) AS shape
      FROM json_each(?1))
SELECT a.n, s.version, NULL, NULL, s.state,
       (SELECT saga FROM events WHERE stream = s.stream AND version = 1),
       NULL, NULL, NULL, NULL, NULL, NULL
  FROM asked a CROSS JOIN snapshots s ON s.stream = a.stream AND s.shape = a.shape
UNION ALL
SELECT a.n, e.version, e.id, e.event_type, e.payload, e.saga, e.causation, e.time, e.trace, e.lane,
       e.lane_seq, e.key
  FROM asked a CROSS JOIN events e ON e.stream = a.stream AND e.version >
       coalesce((SELECT s.version FROM snapshots s WHERE s.stream = a.stream AND s.shape = a.shape), 0)";

const LANE: &str = "
SELECT stream, version, id, event_type, payload, saga, causation, time, trace, lane, lane_seq, key
  FROM events WHERE lane = ?1 AND lane_seq > ?2 ORDER BY lane_seq LIMIT ?3";

pub(super) async fn streams(
    readers: &Connections,
    reads: &[StreamRead],
) -> Result<Vec<StreamSlice>, StoreError> {
    if reads.is_empty() {
        return Ok(Vec::new());
    }
    let mut lent = readers.lend().await?;
    let rows = sqlx::query(STREAMS).bind(asked(reads)).fetch_all(lent.connection()).await;
    let rows = rows.map_err(store_error)?;
    lent.give_back();
    let mut slices = vec![StreamSlice::default(); reads.len()];
    for row in &rows {
        let n =
            usize::try_from(row.try_get::<i64, _>(0).map_err(store_error)?).unwrap_or(usize::MAX);
        if let (Some(slice), Some(read)) = (slices.get_mut(n), reads.get(n)) {
            add(slice, &read.stream, row).map_err(store_error)?;
        }
    }
    slices.iter_mut().for_each(finish);
    Ok(slices)
}

fn asked(reads: &[StreamRead]) -> String {
    let texts = reads.iter().map(|read| {
        let mut text = String::with_capacity(10 + read.stream.as_str().len());
        // Writing to a string cannot fail.
        let _ = write!(text, "{:010}{}", read.snapshot_version, read.stream);
        text
    });
    serde_json::Value::from_iter(texts).to_string()
}

fn add(slice: &mut StreamSlice, stream: &StreamId, row: &SqliteRow) -> Result<(), sqlx::Error> {
    if row.try_get::<Option<&[u8]>, _>(2)?.is_none() {
        let state = Bytes::from(row.try_get::<Vec<u8>, _>(4)?);
        slice.snapshot = Some((unsigned(row.try_get(1)?), state));
        slice.first_saga = row.try_get::<Option<&[u8]>, _>(5)?.map(uuid).transpose()?.map(SagaId);
    } else {
        slice.events.push(event(stream.clone(), row)?);
    }
    Ok(())
}

/// The order of rows is the index's, but nothing in the statement promises it.
fn finish(slice: &mut StreamSlice) {
    slice.events.sort_by_key(|event| event.version);
    let folded = slice.snapshot.as_ref().map_or(0, |(version, _)| *version);
    slice.version = slice.events.last().map_or(folded, |event| event.version);
    if slice.snapshot.is_none() {
        slice.first_saga = slice.events.first().map(|event| event.saga);
    }
}

pub(super) async fn lane(
    readers: &Connections,
    lane: Lane,
    after: LaneSeq,
    max: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut lent = readers.lend().await?;
    let query = sqlx::query(LANE).bind(lane.0).bind(signed(after)).bind(limit(max));
    let rows = query.fetch_all(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    events(&rows)
}

/// Events from the columns of [`LANE`].
pub(super) fn events(rows: &[SqliteRow]) -> Result<Vec<RecordedEvent>, StoreError> {
    let recorded = |row| event(StreamId::from_stored(SqliteRow::try_get(row, 0)?), row);
    rows.iter().map(recorded).collect::<Result<_, _>>().map_err(store_error)
}

fn event(stream: StreamId, row: &SqliteRow) -> Result<RecordedEvent, sqlx::Error> {
    let published = match row.try_get::<Option<u32>, _>(9)? {
        Some(lane) => Some(Published {
            lane: Lane(lane),
            lane_seq: unsigned(row.try_get(10)?),
            key: row.try_get::<&str, _>(11)?.into(),
        }),
        None => None,
    };
    Ok(RecordedEvent {
        id: EventId(uuid(row.try_get(2)?)?),
        stream,
        version: unsigned(row.try_get(1)?),
        event_type: row.try_get::<String, _>(3)?.into(),
        payload: Bytes::from(row.try_get::<Vec<u8>, _>(4)?),
        saga: SagaId(uuid(row.try_get(5)?)?),
        causation: row.try_get(6)?,
        time: Timestamp(row.try_get(7)?),
        trace: row.try_get::<Option<&str>, _>(8)?.map(Into::into),
        published,
    })
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
}
