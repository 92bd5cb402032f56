//! The append by hand: one statement, committed by itself.
//!
//! It moves positions by compare-and-set, gives out lane numbers from counters, checks the heads of streams
//! that go on, writes the events, the batch's cause and its deadlines, and clears those that have ended: all
//! or nothing, in one round trip. An array of one
//! composite type is taken apart faster than an array for each column, so this uses one too.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use order::TimeIsUp;
use quadrille::DomainEvent as _;
use sqlx::{
    Connection as _, Encode, PgConnection, Postgres, Row as _, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, types::PgRecordEncoder},
};
use uuid::Uuid;

const SETUP: &str = "
SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),
       set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
       set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)";

/// The append; a position or a head that is not as expected divides by zero, and undoes all.
macro_rules! append {
    ($agenda:literal) => {
        concat!(
            "
WITH moved AS (
    UPDATE positions p SET last_seq = u.upto, last_id = u.id, next_offset = u.next_offset
      FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::uuid[], $6::int8[])
           u(topic, lane, since, upto, id, next_offset)
     WHERE p.topic = u.topic AND p.lane = u.lane AND p.epoch = $13 AND p.last_seq = u.since
    RETURNING 1),
counted AS (
    UPDATE lanes l SET head = l.head + u.n, before_id = l.last_id, last_id = u.last
      FROM unnest($7::int4[], $8::int8[], $15::uuid[]) u(lane, n, last) WHERE l.lane = u.lane
    RETURNING l.lane, l.head - u.n AS before, l.before_id),
lanes_of AS (SELECT array_agg(lane ORDER BY lane) AS lanes, array_agg(before ORDER BY lane) AS befores,
                    array_agg(before_id ORDER BY lane) AS follows FROM counted),
written AS (
    INSERT INTO events (version, time, lane_seq, lane, id, saga, stream, event_type, causation, key, trace, payload)
    SELECT e.version, e.time, l.befores[e.at_lane] + e.nth, l.lanes[e.at_lane], e.id, e.saga, e.stream,
           e.event_type, e.causation, e.key, e.trace, e.payload
      FROM lanes_of l, unnest($9::new_event[]) e),
caused AS (
    INSERT INTO causes (id, at, in_lanes, firsts) SELECT $10, $14, l.lanes, l.befores FROM lanes_of l)",
            $agenda,
            "
SELECT 1 / (CASE WHEN (SELECT count(*) FROM moved) = coalesce(cardinality($1), 0)
                  AND (SELECT count(*) FROM unnest($11::text[], $12::int8[]) u(stream, version)
                         JOIN events e ON e.stream = u.stream AND e.version = u.version)
                      = coalesce(cardinality($11), 0)
            THEN 1 ELSE 0 END), befores, follows FROM lanes_of"
        )
    };
}

/// For a batch that leaves the agenda alone.
const APPEND: &str = append!("");

/// For one that clears deadlines, or sets them.
const APPEND_AND_PLAN: &str = append!(
    ",
cleared AS (DELETE FROM agenda WHERE id = ANY ($16::uuid[])),
promised AS (
    INSERT INTO agenda (set_at, due, attempts, id, token, saga, begun, kind, state, name, key, causation, trace, reason, payload)
    SELECT $14, d.due, 0, d.id, d.id, d.saga, false, 'deadline', 'pending', $17, d.key, d.causation, d.trace, '', d.payload
      FROM unnest($18::uuid[], $19::int8[], $20::uuid[], $21::text[], $22::text[], $23::text[], $24::bytea[])
           d(id, due, saga, key, causation, trace, payload))"
);

/// No positions, no counters, no checks: the events alone, with numbers that the client made up.
const INSERT: &str = "
INSERT INTO events (version, time, lane_seq, lane, id, saga, stream, event_type, causation, key, trace, payload)
SELECT e.version, e.time, e.nth, e.at_lane, e.id, e.saga, e.stream, e.event_type, e.causation, e.key, e.trace, e.payload
  FROM unnest($1::new_event[]) e";

const HEADS: &str = "
SELECT u.stream, e.version FROM unnest($1::text[]) u(stream)
 CROSS JOIN LATERAL (SELECT version FROM events e WHERE e.stream = u.stream ORDER BY version DESC LIMIT 1) e";

/// An event to write.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) version: i64,
    pub(crate) time: i64,
    /// Nothing for a private one.
    pub(crate) lane: Option<i32>,
    pub(crate) id: Uuid,
    pub(crate) saga: Uuid,
    pub(crate) stream: String,
    pub(crate) event_type: &'static str,
    pub(crate) causation: String,
    pub(crate) key: Option<String>,
    pub(crate) trace: Option<Arc<str>>,
    pub(crate) payload: Vec<u8>,
}

/// A position to move.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) topic: String,
    pub(crate) lane: i32,
    pub(crate) since: i64,
    pub(crate) upto: i64,
    pub(crate) id: Uuid,
    pub(crate) next_offset: i64,
}

/// A deadline to put on the agenda.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    pub(crate) id: Uuid,
    pub(crate) due: i64,
    pub(crate) saga: Uuid,
    pub(crate) key: String,
    pub(crate) causation: String,
    pub(crate) trace: Option<Arc<str>>,
    pub(crate) payload: Vec<u8>,
}

/// Everything that commits together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) cause: Uuid,
    pub(crate) at: i64,
    pub(crate) epoch: i64,
    pub(crate) moves: Vec<Move>,
    pub(crate) events: Vec<Event>,
    pub(crate) deadlines: Vec<Deadline>,
    /// Deadlines that are not wanted any more.
    pub(crate) cleared: Vec<Uuid>,
}

/// Where a lane stood before an append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) lane: i32,
    pub(crate) seq: i64,
    pub(crate) id: Option<Uuid>,
}

/// A connection that appends.
pub(crate) struct Writer {
    connection: PgConnection,
}

impl Writer {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query(SETUP).execute(&mut connection).await?;
        Ok(Self { connection })
    }

    /// Appends, and tells what comes before the first event in each lane that is written to.
    pub(crate) async fn append(&mut self, batch: &Batch) -> Result<Vec<Before>> {
        let (lanes, counts, lasts) = lanes(&batch.events);
        let mut rows = rows(&batch.events, &lanes);
        rows.sort_unstable_by(|a, b| a.event.stream.cmp(&b.event.stream));
        let (streams, heads) = heads(&batch.events);
        let moves = || batch.moves.iter();
        let plans = !(batch.deadlines.is_empty() && batch.cleared.is_empty());
        let mut append = sqlx::query(if plans { APPEND_AND_PLAN } else { APPEND })
            .bind(moves().map(|m| m.topic.as_str()).collect::<Vec<_>>())
            .bind(moves().map(|m| m.lane).collect::<Vec<_>>())
            .bind(moves().map(|m| m.since).collect::<Vec<_>>())
            .bind(moves().map(|m| m.upto).collect::<Vec<_>>())
            .bind(moves().map(|m| m.id).collect::<Vec<_>>())
            .bind(moves().map(|m| m.next_offset).collect::<Vec<_>>())
            .bind(&lanes)
            .bind(counts)
            .bind(rows)
            .bind(batch.cause)
            .bind(streams)
            .bind(heads)
            .bind(batch.epoch)
            .bind(batch.at)
            .bind(lasts);
        if plans {
            let deadlines = || batch.deadlines.iter();
            append = append
                .bind(&batch.cleared)
                .bind(TimeIsUp::TYPE)
                .bind(deadlines().map(|d| d.id).collect::<Vec<_>>())
                .bind(deadlines().map(|d| d.due).collect::<Vec<_>>())
                .bind(deadlines().map(|d| d.saga).collect::<Vec<_>>())
                .bind(deadlines().map(|d| d.key.as_str()).collect::<Vec<_>>())
                .bind(deadlines().map(|d| d.causation.as_str()).collect::<Vec<_>>())
                .bind(deadlines().map(|d| d.trace.as_deref()).collect::<Vec<_>>())
                .bind(deadlines().map(|d| d.payload.as_slice()).collect::<Vec<_>>());
        }
        let found = append
            .fetch_one(&mut self.connection)
            .await
            .context("a position or a head is not as expected")?;
        let befores: Option<Vec<i64>> = found.try_get(1)?;
        let befores = befores.unwrap_or_default();
        let follows: Option<Vec<Option<Uuid>>> = found.try_get(2)?;
        ensure!(befores.len() == lanes.len(), "a lane is not there");
        let before = |(lane, (seq, id))| Before { lane, seq, id };
        let places = befores.into_iter().zip(follows.unwrap_or_default());
        Ok(lanes.into_iter().zip(places).map(before).collect())
    }

    /// Writes the events and nothing else; each `nth` is the lane number, from `first`.
    pub(crate) async fn insert(&mut self, events: &[Event], first: i64) -> Result<()> {
        let mut nth = first;
        let rows = events.iter().map(|event| {
            nth += 1;
            Row { event, at_lane: event.lane, nth: event.lane.map(|_| nth) }
        });
        let mut rows: Vec<Row<'_>> = rows.collect();
        rows.sort_unstable_by(|a, b| a.event.stream.cmp(&b.event.stream));
        sqlx::query(INSERT).bind(rows).execute(&mut self.connection).await?;
        Ok(())
    }

    /// The last version of each of these streams that there is.
    pub(crate) async fn heads(&mut self, streams: &[String]) -> Result<Vec<(String, i64)>> {
        let found = sqlx::query(HEADS).bind(streams).fetch_all(&mut self.connection).await?;
        let head = |row: &sqlx::postgres::PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
        Ok(found.iter().map(head).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// The lanes that are written to, sorted, how many events each gets, and the last of them.
fn lanes(events: &[Event]) -> (Vec<i32>, Vec<i64>, Vec<Uuid>) {
    let mut counts = std::collections::BTreeMap::new();
    for (lane, id) in events.iter().filter_map(|event| Some((event.lane?, event.id))) {
        let (count, last) = counts.entry(lane).or_insert((0, id));
        *count += 1;
        *last = id;
    }
    counts.into_iter().map(|(lane, (count, last))| (lane, count, last)).collect()
}

/// The heads that streams which go on must have.
fn heads(events: &[Event]) -> (Vec<&str>, Vec<i64>) {
    let mut seen = std::collections::HashSet::new();
    events
        .iter()
        .filter(|event| seen.insert(&event.stream) && event.version > 1)
        .map(|event| (event.stream.as_str(), event.version - 1))
        .unzip()
}

fn rows<'a>(events: &'a [Event], lanes: &[i32]) -> Vec<Row<'a>> {
    let mut next = vec![0i64; lanes.len()];
    let row = |event: &'a Event| {
        let at = event.lane.and_then(|lane| lanes.binary_search(&lane).ok());
        let nth = at.map(|at| {
            next[at] += 1;
            next[at]
        });
        Row { event, at_lane: at.and_then(|at| i32::try_from(at + 1).ok()), nth }
    };
    events.iter().map(row).collect()
}

/// An event as the server's type has it.
struct Row<'a> {
    event: &'a Event,
    at_lane: Option<i32>,
    nth: Option<i64>,
}

impl Type<Postgres> for Row<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("new_event")
    }
}

impl PgHasArrayType for Row<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("new_event")
    }
}

impl<'q> Encode<'q, Postgres> for Row<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let event = self.event;
        let mut fields = PgRecordEncoder::new(buffer);
        fields
            .encode(event.version)?
            .encode(event.time)?
            .encode(self.nth)?
            .encode(self.at_lane)?
            .encode(event.id)?
            .encode(event.saga)?
            .encode(event.stream.as_str())?
            .encode(event.event_type)?
            .encode(event.causation.as_str())?
            .encode(event.key.as_deref())?
            .encode(event.trace.as_deref())?
            .encode(event.payload.as_slice())?
            .finish();
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(stream: &str, version: i64, lane: Option<i32>) -> Event {
        Event {
            version,
            time: 0,
            lane,
            id: Uuid::nil(),
            saga: Uuid::nil(),
            stream: stream.to_owned(),
            event_type: "T",
            causation: String::new(),
            key: None,
            trace: None,
            payload: vec![],
        }
    }

    #[test]
    fn numbers_are_dense_in_each_lane_and_only_going_on_needs_a_head() {
        let events = [
            event("a/1", 3, Some(2)),
            event("a/1", 4, None),
            event("b/1", 1, Some(0)),
            event("c/1", 1, Some(2)),
        ];
        let (lanes, counts, lasts) = lanes(&events);
        assert_eq!((&lanes[..], &counts[..], lasts.len()), (&[0, 2][..], &[1, 2][..], 2));
        let places: Vec<_> = rows(&events, &lanes).iter().map(|r| (r.at_lane, r.nth)).collect();
        assert_eq!(
            places,
            [(Some(2), Some(1)), (None, None), (Some(1), Some(1)), (Some(2), Some(2))]
        );
        assert_eq!(heads(&events), (vec!["a/1"], vec![2]));
    }
}
