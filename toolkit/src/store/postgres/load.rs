//! Reads of streams and lanes.

use std::sync::Arc;

use bytes::Bytes;
use sqlx::{Row as _, postgres::PgRow};

use super::{
    connections::Connections,
    error::store_error,
    number::{lane as lane_number, limit, signed, stored_lane, unsigned},
    rows,
};
use crate::{
    id::{EventId, Lane, LaneSeq, SagaId, StreamId},
    runtime::Timestamp,
    store::{Published, RecordedEvent, StoreError, StreamRead, StreamSlice},
};

/// One statement is one snapshot of the store. A row without an id is a snapshot, with the saga of the
/// stream's first event; a stream that does not exist has no row at all.
const STREAMS: &str = "
SELECT a.n, x.version, x.id, x.event_type, x.payload, x.saga, x.causation, x.time, x.trace, x.lane,
       x.lane_seq, x.key
  FROM unnest($1::text[], $2::int8[]) WITH ORDINALITY a(stream, shape, n)
  LEFT JOIN snapshots s ON s.stream = a.stream AND s.shape = a.shape
 CROSS JOIN LATERAL (
    SELECT e.version, e.id, e.event_type, e.payload, e.saga, e.causation, e.time, e.trace, e.lane,
           e.lane_seq, e.key
      FROM events e WHERE e.stream = a.stream AND e.version > coalesce(s.version, 0)
    UNION ALL
    SELECT s.version, NULL, NULL, s.state,
           (SELECT f.saga FROM events f WHERE f.stream = s.stream AND f.version = 1),
           NULL, NULL, NULL, NULL, NULL, NULL
     WHERE s.version IS NOT NULL) x";

const LANE: &str = "
SELECT stream, version, id, event_type, payload, saga, causation, time, trace, lane, lane_seq, key
  FROM events WHERE lane = $1 AND lane_seq > $2 ORDER BY lane_seq LIMIT $3";

pub(super) async fn streams(
    connections: &Arc<Connections>,
    reads: &[StreamRead],
) -> Result<Vec<StreamSlice>, StoreError> {
    if reads.is_empty() {
        return Ok(Vec::new());
    }
    let streams: Vec<&str> = reads.iter().map(|read| read.stream.as_str()).collect();
    let shapes: Vec<i64> = reads.iter().map(|read| read.snapshot_version.into()).collect();
    let found = rows(connections, sqlx::query(STREAMS).bind(streams).bind(shapes)).await?;
    let mut slices = vec![StreamSlice::default(); reads.len()];
    for row in &found {
        // The server counts from 1.
        let n = usize::try_from(row.try_get::<i64, _>(0).map_err(store_error)? - 1);
        let n = n.unwrap_or(usize::MAX);
        if let (Some(slice), Some(read)) = (slices.get_mut(n), reads.get(n)) {
            add(slice, &read.stream, row).map_err(store_error)?;
        }
    }
    slices.iter_mut().for_each(finish);
    Ok(slices)
}

fn add(slice: &mut StreamSlice, stream: &StreamId, row: &PgRow) -> Result<(), sqlx::Error> {
    match row.try_get(2)? {
        Some(id) => slice.events.push(event(EventId(id), stream.clone(), row)?),
        None => {
            let state = Bytes::from(row.try_get::<Vec<u8>, _>(4)?);
            slice.snapshot = Some((unsigned(row.try_get(1)?), state));
            slice.first_saga = row.try_get::<Option<_>, _>(5)?.map(SagaId);
        }
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
    connections: &Arc<Connections>,
    lane: Lane,
    after: LaneSeq,
    max: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let query = sqlx::query(LANE).bind(lane_number(lane.0)).bind(signed(after)).bind(limit(max));
    events(&rows(connections, query).await?)
}

/// Events from the columns of [`LANE`].
pub(super) fn events(rows: &[PgRow]) -> Result<Vec<RecordedEvent>, StoreError> {
    let recorded =
        |row: &PgRow| event(EventId(row.try_get(2)?), StreamId::from_stored(row.try_get(0)?), row);
    rows.iter().map(recorded).collect::<Result<_, _>>().map_err(store_error)
}

fn event(id: EventId, stream: StreamId, row: &PgRow) -> Result<RecordedEvent, sqlx::Error> {
    let published = match row.try_get::<Option<i32>, _>(9)? {
        Some(lane) => Some(Published {
            lane: Lane(stored_lane(lane)),
            lane_seq: unsigned(row.try_get(10)?),
            key: row.try_get::<&str, _>(11)?.into(),
        }),
        None => None,
    };
    Ok(RecordedEvent {
        id,
        stream,
        version: unsigned(row.try_get(1)?),
        event_type: row.try_get::<String, _>(3)?.into(),
        payload: Bytes::from(row.try_get::<Vec<u8>, _>(4)?),
        saga: SagaId(row.try_get(5)?),
        causation: row.try_get(6)?,
        time: Timestamp(row.try_get(7)?),
        trace: row.try_get::<Option<&str>, _>(8)?.map(Into::into),
        published,
    })
}
