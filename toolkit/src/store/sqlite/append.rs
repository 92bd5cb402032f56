//! The append: one statement checks, a few write.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use sqlx::{Row as _, sqlite::SqliteConnection};

use super::{
    agenda,
    connections::Connections,
    error::{append_error, commit_error, unavailable},
    held,
    insert::{Into, Values, insert},
    number::{signed, small, unsigned},
};
use crate::{
    id::{CauseId, EventId, Lane, LaneSeq, StreamId, Version},
    mutant::{Mutant, broken},
    store::{Append, AppendError, Appended, Gap, InboxEntry, NewEvent, NewSnapshot, PositionMove},
};

/// What fails, if anything: used causes, positions that are not as expected, heads that have moved.
///
/// Under the write lock, so nothing changes between this and the writes.
const CHECK: &str = "
SELECT 'lanes', lanes FROM service
UNION ALL
SELECT 'cause', j.key FROM json_each(?1) j
 WHERE EXISTS (SELECT 1 FROM causes c WHERE c.id = unhex(j.value))
UNION ALL
SELECT 'position', j.key FROM json_each(?2) j
 WHERE NOT EXISTS (SELECT 1 FROM positions p
        WHERE p.topic = j.value ->> 0 AND p.lane = j.value ->> 1
          AND p.epoch = j.value ->> 2 AND p.last_seq = j.value ->> 3)
UNION ALL
SELECT 'read', j.key FROM json_each(?3) j
 WHERE coalesce((SELECT max(e.version) FROM events e WHERE e.stream = j.key), 0) <> j.value
UNION ALL
SELECT 'seen', j.key FROM json_each(?4) j
 WHERE EXISTS (SELECT 1 FROM inbox i WHERE i.source = j.value ->> 0 AND i.id = j.value ->> 1)";

const MOVE: &str = "
UPDATE positions AS p
   SET last_seq = j.value ->> 4,
       last_id = CASE WHEN j.value ->> 3 = j.value ->> 4 THEN p.last_id
                      ELSE unhex(j.value ->> 5) END,
       next_offset = j.value ->> 6
  FROM json_each(?1) j
 WHERE p.topic = j.value ->> 0 AND p.lane = j.value ->> 1";

/// Each lane that is written to, as it is before: its head, and the event there.
const LANES: &str = "
SELECT l.lane, l.head, (SELECT e.id FROM events e WHERE e.lane = l.lane AND e.lane_seq = l.head)
  FROM json_each(?1) j CROSS JOIN lanes l WHERE l.lane = CAST(j.key AS INTEGER)";

const COUNT: &str = "
UPDATE lanes SET head = head + j.value FROM json_each(?1) j
 WHERE lane = CAST(j.key AS INTEGER)";

const EVENTS: Into = Into {
    head: "INSERT INTO events (stream, version, id, event_type, payload, saga, causation, time, trace, \
           lane, lane_seq, key)",
    columns: 12,
    tail: "",
};

const CAUSES: Into =
    Into { head: "INSERT INTO causes (id, at, first_in_lane, answer)", columns: 4, tail: "" };

const INBOX: Into = Into { head: "INSERT INTO inbox (source, id, at)", columns: 3, tail: "" };

const SNAPSHOTS: Into = Into {
    head: "INSERT INTO snapshots (stream, shape, version, state)",
    columns: 4,
    tail: "ON CONFLICT (stream, shape) DO UPDATE SET version = excluded.version, state = excluded.state \
           WHERE excluded.version >= snapshots.version",
};

const GAPS: Into = Into {
    head: "INSERT INTO gaps (topic, lane, first, last)",
    columns: 4,
    tail: "ON CONFLICT DO NOTHING",
};

pub(super) async fn run(writer: &Connections, append: &Append) -> Result<Appended, AppendError> {
    let mut write = writer.write().await.map_err(unavailable)?;
    match perform(write.connection(), append).await {
        Ok(appended) => {
            write.commit().await.map_err(commit_error)?;
            Ok(appended)
        }
        Err(error) => {
            write.roll_back().await;
            Err(error)
        }
    }
}

async fn perform(
    connection: &mut SqliteConnection,
    append: &Append,
) -> Result<Appended, AppendError> {
    let positions = json(&Positions(&append.positions))?;
    let moved = check(connection, append, &positions).await?;
    let lanes = held::change(connection, &append.held).await.map_err(append_error)?;
    if !lanes.is_empty() {
        return Err(AppendError::HeldChanged { lanes });
    }
    let ids = agenda::change(connection, &append.agenda).await.map_err(append_error)?;
    if !ids.is_empty() {
        return Err(AppendError::AgendaChanged { ids });
    }
    if !moved.is_empty() {
        return Err(AppendError::Conflict { streams: moved });
    }
    write(connection, append, positions).await
}

/// The streams whose heads have moved; the failures that come before that as errors.
async fn check(
    connection: &mut SqliteConnection,
    append: &Append,
    positions: &str,
) -> Result<Vec<StreamId>, AppendError> {
    let answered = append.answers.iter().map(|answer| answer.cause);
    let causes: Vec<CauseId> = append.cause.into_iter().chain(answered).collect();
    let hex: Vec<_> = causes.iter().map(|cause| cause.0.simple().to_string()).collect();
    let rows = sqlx::query(CHECK)
        .bind(json(&hex)?)
        .bind(positions)
        .bind(json(&Reads(&append.reads))?)
        .bind(json(&Inbox(&append.inbox))?)
        .fetch_all(connection)
        .await
        .map_err(append_error)?;
    let (mut lanes, mut used, mut lost) = (0, Vec::new(), Vec::new());
    let (mut seen, mut moved) = (Vec::new(), Vec::new());
    for row in &rows {
        let at = |n: usize| row.try_get::<i64, _>(n).map(|at| usize::try_from(at).unwrap_or(0));
        match row.try_get::<&str, _>(0).map_err(append_error)? {
            "lanes" => lanes = small(row.try_get(1).map_err(append_error)?),
            "cause" => used.extend(causes.get(at(1).map_err(append_error)?)),
            "position" => lost.extend(append.positions.get(at(1).map_err(append_error)?)),
            "seen" => seen.extend(append.inbox.get(at(1).map_err(append_error)?).cloned()),
            _ => moved.push(StreamId::from_stored(row.try_get(1).map_err(append_error)?)),
        }
    }
    if let Some(flaw) = append.flaw(lanes) {
        return Err(AppendError::Rejected(flaw.into()));
    }
    used.extend(twice(append));
    if !used.is_empty() {
        used.sort();
        used.dedup();
        return Err(AppendError::AlreadyDone { causes: used });
    }
    if !lost.is_empty() && !broken(Mutant::PositionUnchecked) {
        let lanes = lost.iter().map(|moved: &&PositionMove| moved.source.clone()).collect();
        return Err(AppendError::PositionLost { lanes });
    }
    if !seen.is_empty() {
        return Err(AppendError::SeenBefore { entries: seen });
    }
    Ok(moved)
}

/// Causes that are answered more than once in the append itself.
fn twice(append: &Append) -> Vec<CauseId> {
    let mut causes: Vec<CauseId> = append.answers.iter().map(|answer| answer.cause).collect();
    causes.sort();
    causes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}

async fn write(
    connection: &mut SqliteConnection,
    append: &Append,
    positions: String,
) -> Result<Appended, AppendError> {
    if !append.positions.is_empty() {
        let moving = sqlx::query(MOVE).bind(positions).execute(&mut *connection);
        let rows = moving.await.map_err(append_error)?.rows_affected();
        debug_assert_eq!(rows, append.positions.len() as u64);
    }
    let (appended, numbers) = number(connection, &append.events).await?;
    let bind =
        |event: &NewEvent, n: usize, row: &mut Values<'_>| bind_event(event, numbers[n], row);
    insert(connection, &EVENTS, &append.events, bind).await.map_err(append_error)?;
    insert_causes(connection, append, &appended).await?;
    let bind = |entry: &InboxEntry, _: usize, row: &mut Values<'_>| {
        row.add(&*entry.source).add(&*entry.id).add(append.at.0);
    };
    insert(connection, &INBOX, &append.inbox, bind).await.map_err(append_error)?;
    let bind = |new: &NewSnapshot, _: usize, row: &mut Values<'_>| {
        row.add(new.stream.as_str()).add(i64::from(new.snapshot_version));
        row.add(signed(new.version)).add(&*new.state);
    };
    insert(connection, &SNAPSHOTS, &append.snapshots, bind).await.map_err(append_error)?;
    let bind = |gap: &Gap, _: usize, row: &mut Values<'_>| {
        row.add(gap.source.topic.clone()).add(gap.source.lane.0);
        row.add(signed(gap.from)).add(signed(gap.to));
    };
    insert(connection, &GAPS, &append.gaps, bind).await.map_err(append_error)?;
    Ok(appended)
}

/// Raises the lane counters, and gives each public event its number.
async fn number(
    connection: &mut SqliteConnection,
    events: &[NewEvent],
) -> Result<(Appended, Vec<Option<LaneSeq>>), AppendError> {
    let mut counts: BTreeMap<Lane, u64> = BTreeMap::new();
    for route in events.iter().filter_map(|event| event.route.as_ref()) {
        *counts.entry(route.lane).or_default() += 1;
    }
    if counts.is_empty() {
        return Ok((Appended::default(), vec![None; events.len()]));
    }
    let counts = json(&counts)?;
    let rows = sqlx::query(LANES).bind(&counts).fetch_all(&mut *connection).await;
    let mut next: BTreeMap<Lane, LaneSeq> = BTreeMap::new();
    let mut follows = vec![];
    for row in rows.map_err(append_error)? {
        let lane = Lane(row.try_get(0).map_err(append_error)?);
        next.insert(lane, unsigned(row.try_get(1).map_err(append_error)?) + 1);
        let last: Option<Vec<u8>> = row.try_get(2).map_err(append_error)?;
        let id = last.and_then(|id| uuid::Uuid::from_slice(&id).ok());
        follows.extend(id.map(|id| (lane, EventId(id))));
    }
    sqlx::query(COUNT).bind(&counts).execute(connection).await.map_err(append_error)?;
    follows.sort();
    let first_in_lane = next.iter().map(|(lane, seq)| (*lane, *seq)).collect();
    let appended = Appended { first_in_lane, follows };
    let numbers = events.iter().map(|event| {
        let seq = next.get_mut(&event.route.as_ref()?.lane)?;
        *seq += 1;
        Some(*seq - 1)
    });
    Ok((appended, numbers.collect()))
}

fn bind_event(event: &NewEvent, lane_seq: Option<LaneSeq>, row: &mut Values<'_>) {
    row.add(event.stream.as_str())
        .add(signed(event.version))
        .add(&event.id.0.as_bytes()[..])
        .add(&*event.event_type)
        .add(&*event.payload)
        .add(&event.saga.0.as_bytes()[..])
        .add(&*event.causation)
        .add(event.time.0)
        .add(event.trace.clone())
        .add(event.route.as_ref().map(|route| route.lane.0))
        .add(lane_seq.map(signed))
        .add(event.route.as_ref().map(|route| route.key.clone()));
}

struct CauseRow<'a> {
    id: CauseId,
    first_in_lane: Option<String>,
    answer: Option<&'a [u8]>,
}

async fn insert_causes(
    connection: &mut SqliteConnection,
    append: &Append,
    appended: &Appended,
) -> Result<(), AppendError> {
    let mut rows = Vec::with_capacity(append.answers.len() + 1);
    if let Some(id) = append.cause {
        let own = append.answers.iter().find(|answer| answer.cause == id);
        rows.push(CauseRow {
            id,
            first_in_lane: Some(json(&appended.first_in_lane)?),
            answer: own.map(|answer| &*answer.body),
        });
    }
    let others = append.answers.iter().filter(|answer| Some(answer.cause) != append.cause);
    rows.extend(others.map(|answer| CauseRow {
        id: answer.cause,
        first_in_lane: None,
        answer: Some(&*answer.body),
    }));
    let bind = |cause: &CauseRow<'_>, _: usize, row: &mut Values<'_>| {
        row.add(&cause.id.0.as_bytes()[..]).add(append.at.0);
        row.add(cause.first_in_lane.as_deref()).add(cause.answer);
    };
    insert(connection, &CAUSES, &rows, bind).await.map_err(append_error)
}

fn json(value: &impl Serialize) -> Result<String, AppendError> {
    serde_json::to_string(value).map_err(|error| AppendError::Rejected(error.into()))
}

/// Stream to version, as an object: SQLite gives names and values of it without parsing again.
struct Reads<'a>(&'a [(StreamId, Version)]);

impl Serialize for Reads<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(s, version)| (s.as_str(), signed(*version))))
    }
}

/// `[source, id]` for each.
struct Inbox<'a>(&'a [InboxEntry]);

impl Serialize for Inbox<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|entry| (&*entry.source, &*entry.id)))
    }
}

/// `[topic, lane, epoch, from, to, last_id, next_offset]` for each.
struct Positions<'a>(&'a [PositionMove]);

impl Serialize for Positions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|moved| {
            (
                &*moved.source.topic,
                moved.source.lane,
                signed(moved.epoch),
                signed(moved.from),
                signed(moved.to),
                moved.last_id.map(|id| id.0.simple().to_string()),
                moved.next_offset,
            )
        }))
    }
}
