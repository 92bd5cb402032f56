//! An append as the arguments of the server's function `append`: arrays, sorted by what they lock.

use std::collections::{BTreeMap, HashSet};

use sqlx::{
    Arguments as _, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgTypeInfo, types::PgRecordEncoder},
};
use uuid::Uuid;

use super::{
    agenda, held,
    number::{lane, signed},
};
use crate::{
    id::{EventId, Lane, StreamId},
    store::{Append, NewEvent, NewSnapshot, PositionMove, agenda::AgendaPlan},
};

/// The placeholders of all arguments that are added below.
macro_rules! append {
    () => {
        "append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, \
         $38, $39, $40, $41, $42, $43, $44, $45, $46)"
    };
}

/// An append that leaves the agenda alone does not pay for it.
const WITHOUT_AGENDA: &str = concat!("SELECT a.firsts, a.follows FROM ", append!(), " a");

/// The agenda follows: by what `append` gives, it cannot come first.
macro_rules! agenda {
    () => {
        "change_agenda(a.firsts, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58)"
    };
}

const WITH_AGENDA: &str = concat!("SELECT ", agenda!(), ", a.follows FROM ", append!(), " a");

/// So does the inbox, as the last.
const WITH_INBOX: &str =
    concat!("SELECT take_events(a.firsts, $47, $48, $49), a.follows FROM ", append!(), " a");
const WITH_BOTH: &str =
    concat!("SELECT take_events(", agenda!(), ", $59, $60, $61), a.follows FROM ", append!(), " a");

/// Streams are locked by slots: an append that only reads a stream has its slot alone, one that writes it
/// shares the slot. (Two writers of one stream meet in its unique index.) All programs that share a
/// store must agree on this number and on [`slot`].
const SLOTS: u32 = 32;

/// An append, ready to be sent.
pub(super) struct Prepared<'a> {
    pub(super) sql: &'static str,
    pub(super) arguments: PgArguments,
    /// The positions, in the order in which they are sent.
    pub(super) positions: Vec<&'a PositionMove>,
    /// The lanes that are written to, sorted.
    pub(super) lanes: Vec<Lane>,
}

pub(super) fn prepare(append: &Append) -> Result<Prepared<'_>, BoxDynError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(46, 1024 + append.events.iter().map(event_bytes).sum::<usize>());
    let mut add = Arrays(&mut arguments);
    add.one(append.cause.map(|cause| cause.0))?;
    add.one(append.at.0)?;
    answers(&mut add, append)?;
    let positions = positions(&mut add, append)?;
    let written = written(&append.events);
    add.all(written.keys().map(|l| lane(l.0)))?;
    add.all(written.values().map(|(count, _)| signed(*count)))?;
    add.all(written.values().map(|(_, last)| last.0))?;
    Reads::of(append).add(&mut add)?;
    let lanes: Vec<Lane> = written.into_keys().collect();
    events(&mut add, append, &lanes)?;
    snapshots(&mut add, append)?;
    gaps(&mut add, append)?;
    held::arguments(&mut add, &append.held)?;
    let sql = match (append.agenda.is_empty(), append.inbox.is_empty()) {
        (true, true) => WITHOUT_AGENDA,
        (false, true) => WITH_AGENDA,
        (true, false) => WITH_INBOX,
        (false, false) => WITH_BOTH,
    };
    if !append.agenda.is_empty() {
        agenda::arguments(&mut add, &AgendaPlan::of(&append.agenda))?;
    }
    if !append.inbox.is_empty() {
        add.all(append.inbox.iter().map(|entry| &*entry.source))?;
        add.all(append.inbox.iter().map(|entry| &*entry.id))?;
        add.one(append.at.0)?;
    }
    debug_assert_eq!(arguments.len(), sql.matches('$').count());
    Ok(Prepared { sql, arguments, positions, lanes })
}

/// Roughly what an event takes on the wire.
fn event_bytes(event: &NewEvent) -> usize {
    320 + event.payload.len() + event.stream.as_str().len()
}

/// Adds arguments one after the other.
pub(super) struct Arrays<'a>(&'a mut PgArguments);

impl Arrays<'_> {
    fn one<'t, T: Encode<'t, Postgres> + Type<Postgres>>(
        &mut self,
        value: T,
    ) -> Result<(), BoxDynError> {
        self.0.add(value)
    }

    /// An array; null when it is empty, which costs the server less.
    pub(super) fn all<'t, T: 't>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), BoxDynError>
    where
        Vec<T>: Encode<'t, Postgres> + Type<Postgres>,
    {
        let values: Vec<T> = values.into_iter().collect();
        self.0.add(Some(values).filter(|values| !values.is_empty()))
    }
}

fn answers(add: &mut Arrays<'_>, append: &Append) -> Result<(), BoxDynError> {
    let mut sorted: Vec<_> = append.answers.iter().collect();
    sorted.sort_by_key(|answer| answer.cause);
    add.all(sorted.iter().map(|answer| answer.cause.0))?;
    add.all(sorted.iter().map(|answer| &*answer.body))
}

fn positions<'a>(
    add: &mut Arrays<'_>,
    append: &'a Append,
) -> Result<Vec<&'a PositionMove>, BoxDynError> {
    let mut sorted: Vec<&PositionMove> = append.positions.iter().collect();
    sorted.sort_by(|a, b| a.source.cmp(&b.source));
    add.all(sorted.iter().map(|moved| &*moved.source.topic))?;
    add.all(sorted.iter().map(|moved| lane(moved.source.lane.0)))?;
    add.all(sorted.iter().map(|moved| signed(moved.epoch)))?;
    add.all(sorted.iter().map(|moved| signed(moved.from)))?;
    add.all(sorted.iter().map(|moved| signed(moved.to)))?;
    add.all(sorted.iter().map(|moved| moved.last_id.map(|id| id.0)))?;
    add.all(sorted.iter().map(|moved| moved.next_offset))?;
    Ok(sorted)
}

/// For each lane how many events go there, and the last of them.
fn written(events: &[NewEvent]) -> BTreeMap<Lane, (u64, EventId)> {
    let mut written = BTreeMap::new();
    for event in events {
        let Some(route) = &event.route else { continue };
        let place = written.entry(route.lane).or_insert((0, event.id));
        *place = (place.0 + 1, event.id);
    }
    written
}

/// FNV-1a over the stream's id. Never to change: see [`SLOTS`].
fn slot(stream: &StreamId) -> i32 {
    let fold = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    lane(stream.as_str().as_bytes().iter().fold(0x811c_9dc5, fold) % SLOTS)
}

/// The reads, by what is to be done about them.
#[derive(Default)]
struct Reads<'a> {
    /// Written, and not new: the head must be there, and be the last.
    heads: Vec<&'a (StreamId, u64)>,
    /// Not written.
    only: Vec<&'a (StreamId, u64)>,
    /// What to lock: whether the slot is wanted alone.
    slots: BTreeMap<i32, bool>,
}

impl<'a> Reads<'a> {
    fn of(append: &'a Append) -> Self {
        let written: HashSet<&StreamId> = append.events.iter().map(|event| &event.stream).collect();
        let mut reads = Self::default();
        for read in &append.reads {
            let is_written = written.contains(&read.0);
            match (is_written, read.1) {
                (false, _) => reads.only.push(read),
                // Its first version is free, or it is not new.
                (true, 0) => {}
                (true, _) => reads.heads.push(read),
            }
            // An append that writes nothing needs no locks: its reads are checked in one snapshot, and
            // it stands before all that is written after that.
            if !written.is_empty() {
                *reads.slots.entry(slot(&read.0)).or_default() |= !is_written;
            }
        }
        reads
    }

    fn add(&self, add: &mut Arrays<'_>) -> Result<(), BoxDynError> {
        add.all(self.slots.keys().copied())?;
        add.all(self.slots.values().copied())?;
        for reads in [&self.heads, &self.only] {
            add.all(reads.iter().map(|(stream, _)| stream.as_str()))?;
            add.all(reads.iter().map(|(_, head)| signed(*head)))?;
        }
        Ok(())
    }
}

/// Sorted by stream: two appends that write the same new streams then meet at the first, and neither
/// waits for the other's second.
fn events(add: &mut Arrays<'_>, append: &Append, lanes: &[Lane]) -> Result<(), BoxDynError> {
    let mut next = vec![0_i64; lanes.len()];
    let mut rows: Vec<EventRow<'_>> = Vec::with_capacity(append.events.len());
    for event in &append.events {
        let at = event.route.as_ref().and_then(|route| lanes.binary_search(&route.lane).ok());
        let nth = at.map(|at| {
            next[at] += 1;
            next[at] - 1
        });
        // The server's arrays count from 1.
        let at_lane = at.and_then(|at| i32::try_from(at + 1).ok());
        rows.push(EventRow::of(event, at_lane, nth));
    }
    rows.sort_by(|a, b| a.stream.cmp(b.stream));
    add.all(rows)
}

/// An event as the server's type has it, field by field in its order.
struct EventRow<'a> {
    version: i64,
    time: i64,
    nth: Option<i64>,
    at_lane: Option<i32>,
    id: Uuid,
    saga: Uuid,
    stream: &'a str,
    event_type: &'a str,
    causation: &'a str,
    key: Option<&'a str>,
    trace: Option<&'a str>,
    payload: &'a [u8],
}

impl Type<Postgres> for EventRow<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("new_event")
    }
}

impl<'q> Encode<'q, Postgres> for EventRow<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let mut fields = PgRecordEncoder::new(buffer);
        fields
            .encode(self.version)?
            .encode(self.time)?
            .encode(self.nth)?
            .encode(self.at_lane)?
            .encode(self.id)?
            .encode(self.saga)?
            .encode(self.stream)?
            .encode(self.event_type)?
            .encode(self.causation)?
            .encode(self.key)?
            .encode(self.trace)?
            .encode(self.payload)?
            .finish();
        Ok(IsNull::No)
    }
}

impl PgHasArrayType for EventRow<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("new_event")
    }
}

impl<'a> EventRow<'a> {
    fn of(event: &'a NewEvent, at_lane: Option<i32>, nth: Option<i64>) -> Self {
        Self {
            version: signed(event.version),
            time: event.time.0,
            nth,
            at_lane,
            id: event.id.0,
            saga: event.saga.0,
            stream: event.stream.as_str(),
            event_type: &event.event_type,
            causation: &event.causation,
            key: event.route.as_ref().map(|route| &*route.key),
            trace: event.trace.as_deref(),
            payload: &event.payload,
        }
    }
}

/// One for each stream and shape, the newest: a statement cannot write a row twice.
fn snapshots(add: &mut Arrays<'_>, append: &Append) -> Result<(), BoxDynError> {
    let mut newest: BTreeMap<(&StreamId, u32), &NewSnapshot> = BTreeMap::new();
    for snapshot in &append.snapshots {
        let place = newest.entry((&snapshot.stream, snapshot.snapshot_version)).or_insert(snapshot);
        if place.version <= snapshot.version {
            *place = snapshot;
        }
    }
    let snapshots = || newest.values();
    add.all(snapshots().map(|snapshot| snapshot.stream.as_str()))?;
    add.all(snapshots().map(|snapshot| i64::from(snapshot.snapshot_version)))?;
    add.all(snapshots().map(|snapshot| signed(snapshot.version)))?;
    add.all(snapshots().map(|snapshot| &*snapshot.state))
}

fn gaps(add: &mut Arrays<'_>, append: &Append) -> Result<(), BoxDynError> {
    let mut sorted: Vec<_> = append.gaps.iter().collect();
    sorted.sort_by(|a, b| (&a.source, a.from, a.to).cmp(&(&b.source, b.from, b.to)));
    add.all(sorted.iter().map(|gap| &*gap.source.topic))?;
    add.all(sorted.iter().map(|gap| lane(gap.source.lane.0)))?;
    add.all(sorted.iter().map(|gap| signed(gap.from)))?;
    add.all(sorted.iter().map(|gap| signed(gap.to)))
}

/// The causes that an append would use.
pub(super) fn causes(append: &Append) -> Vec<Uuid> {
    let answered = append.answers.iter().map(|answer| answer.cause);
    append.cause.into_iter().chain(answered).map(|cause| cause.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::AgendaId,
        store::{AgendaChange, InboxEntry},
    };

    /// Programs of two versions that share a store must lock the same slot for the same stream.
    #[test]
    fn p10_slots_of_streams_are_frozen() {
        let slot_of = |id: &str| slot(&StreamId::from_stored(id));
        assert_eq!([slot_of("order/1"), slot_of("order/2"), slot_of("sku/7")], [27, 14, 8]);
    }

    #[test]
    fn the_statement_names_each_argument_once() {
        let agenda = vec![AgendaChange::Clear(AgendaId(Uuid::nil()))];
        let inbox = vec![InboxEntry { source: "s".into(), id: "1".into() }];
        for append in [
            Append::default(),
            Append { agenda: agenda.clone(), ..Append::default() },
            Append { inbox: inbox.clone(), ..Append::default() },
            Append { agenda, inbox, ..Append::default() },
        ] {
            let Prepared { sql, arguments, .. } = prepare(&append).unwrap();
            assert_eq!(sql.matches('$').count(), arguments.len());
            assert_eq!(sql.contains("agenda"), !append.agenda.is_empty());
            assert_eq!(sql.contains("take_events"), !append.inbox.is_empty());
        }
    }
}
