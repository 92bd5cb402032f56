//! The other services: records as they would publish them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use quadrille::{
    DomainEvent,
    id::{EventId, Lane, SagaId, SourceLane, StreamId},
    log::{
        NewRecord,
        memory::MemoryLog,
        partition::lane_of,
        record::{ServiceIdentity, encode},
    },
    runtime::Timestamp,
    store::{Published, RecordedEvent},
};
use uuid::Uuid;

/// A saga by its number.
pub fn saga(number: u128) -> SagaId {
    SagaId(Uuid::from_u128(number))
}

/// A record that was published.
#[derive(Clone, Debug)]
pub struct Sent {
    pub source: SourceLane,
    pub seq: u64,
}

/// Numbers the records of other services, and puts them into the log.
#[derive(Debug)]
pub struct Upstream {
    pub log: MemoryLog,
    pub lanes: u32,
    pub namespace: String,
    pub numbers: Mutex<BTreeMap<SourceLane, u64>>,
}

impl Upstream {
    pub fn topic(&self, service: &str) -> Arc<str> {
        format!("{}.{service}.events", self.namespace).into()
    }

    pub fn lane(&self, service: &str, key: &str) -> SourceLane {
        SourceLane { topic: self.topic(service), lane: lane_of(key.as_bytes(), self.lanes) }
    }

    /// The last number of a lane, which this makes the next one follow.
    pub fn skip_to(&self, source: &SourceLane, last: u64) {
        self.numbers.lock().unwrap().insert(source.clone(), last);
    }

    /// The next record of the event's service, not yet published.
    pub fn next<E: DomainEvent>(
        &self,
        saga: SagaId,
        event: &E,
    ) -> (SourceLane, u64, EventId, NewRecord) {
        let service = E::SOURCE.expect("an event of another service");
        let key = event.key().expect("a public event");
        let source = self.lane(service, &key);
        let mut numbers = self.numbers.lock().unwrap();
        let seq = numbers.entry(source.clone()).or_default();
        *seq += 1;
        let id = EventId(Uuid::from_u128(rand::random()));
        let event = RecordedEvent {
            id,
            stream: StreamId::from_stored("theirs/1"),
            version: *seq,
            event_type: E::TYPE.into(),
            payload: serde_json::to_vec(event).unwrap().into(),
            saga,
            causation: "a test".into(),
            time: Timestamp(1),
            trace: None,
            published: Some(Published { lane: source.lane, lane_seq: *seq, key: key.into() }),
        };
        let record = encode(&ServiceIdentity::new(service), &event).unwrap();
        (source, *seq, id, record)
    }

    pub fn put(&self, source: &SourceLane, record: NewRecord) -> i64 {
        self.log.produce_raw(&source.topic, record).unwrap()
    }

    /// Publishes an event of another service.
    pub fn send<E: DomainEvent>(&self, saga: SagaId, event: E) -> Sent {
        let (source, seq, _, record) = self.next(saga, &event);
        self.put(&source, record);
        Sent { source, seq }
    }

    /// A key that lives in this lane.
    pub fn key_in(&self, lane: Lane, stem: &str) -> String {
        (0..)
            .map(|n| format!("{stem}-{n}"))
            .find(|key| lane_of(key.as_bytes(), self.lanes) == lane)
            .unwrap()
    }
}
