//! What was read. Times are microseconds since 1970.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// A row of a service's `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// The saga that it belongs to.
    pub saga: Uuid,
    /// Its stream.
    pub stream: String,
    /// Its number there, from 1.
    pub version: i64,
    /// Its type.
    pub event_type: String,
    /// What caused it.
    pub causation: String,
    /// When it was decided.
    pub time: i64,
    /// What it says.
    pub payload: Vec<u8>,
    /// Where it is published; none for a private event.
    pub place: Option<Place>,
}

/// Where an event is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The lane: the topic's partition.
    pub lane: i32,
    /// The number in the lane, from 1.
    pub seq: i64,
    /// The record's key.
    pub key: String,
}

/// A row of `positions`: how far a lane of another service was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The lane.
    pub lane: i32,
    /// The number of the last event that was applied.
    pub last_seq: i64,
    /// Its id.
    pub last_id: Option<Uuid>,
}

/// A row of `held`: a message that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The topic.
    pub topic: String,
    /// The lane.
    pub lane: i32,
    /// The message's id.
    pub id: String,
    /// Its key.
    pub key: String,
    /// Its number in the lane.
    pub seq: i64,
    /// `parked`, `waiting` or `dead`.
    pub state: String,
    /// The next try of a parked one.
    pub next_at: i64,
    /// Why.
    pub reason: String,
}

/// A row of `agenda`: a deadline or an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: Uuid,
    /// `deadline` or `effect`.
    pub kind: String,
    /// `pending` or `dead`.
    pub state: String,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// When it is due.
    pub due: i64,
    /// Why it is dead, or was not successful.
    pub reason: String,
}

/// What one service's database holds.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// All events, in no order.
    pub events: Vec<Event>,
    /// The last number given out, by lane.
    pub heads: BTreeMap<i32, i64>,
    /// How far others' lanes were applied.
    pub positions: Vec<Position>,
    /// What is held back.
    pub held: Vec<Held>,
    /// Deadlines and effects.
    pub agenda: Vec<Item>,
    /// Ids of appends and commands.
    pub causes: BTreeSet<Uuid>,
    /// Numbers that were never read because they had expired: topic, lane, first, last.
    pub gaps: Vec<(String, i32, i64, i64)>,
}

/// A committed record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub partition: i32,
    /// Where there.
    pub offset: i64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its time, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The only header of this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value);
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        std::str::from_utf8(value).ok()
    }
}

/// The end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Which.
    pub partition: i32,
    /// What readers of committed records can see is before this offset.
    pub last_stable: i64,
    /// The end.
    pub high: i64,
}

/// What one service's topic holds.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// All committed records, by partition and offset.
    pub records: Vec<Record>,
    /// The partitions' ends.
    pub ends: Vec<End>,
}

/// A service: its store and its log.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The topic by the name that others' positions have.
    pub topic: String,
    /// Its database.
    pub store: Store,
    /// Its topic.
    pub log: Log,
}

/// A record that a live reader of committed records saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The topic.
    pub topic: String,
    /// Where there.
    pub partition: i32,
    /// Where there.
    pub offset: i64,
    /// `ce_id`, as it stood there.
    pub id: String,
    /// `ce_laneseq`, as it stood there.
    pub seq: String,
}

/// A transaction that a broker says is not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Whose: the `transactional.id`.
    pub transactional_id: String,
    /// Its state in Kafka's words.
    pub state: String,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The services.
    pub services: Vec<Service>,
    /// The brokers' own lists of transactions that are not ended; none when they do not tell.
    pub open: Option<Vec<OpenTransaction>>,
    /// What live readers saw; none when nobody watched.
    pub seen: Option<Vec<Sighting>>,
    /// When it was read.
    pub now: i64,
}
