//! What other services would have published, in an order that they would rarely publish it in.

use std::{collections::BTreeMap, sync::Mutex};

use quadrille::{
    DomainEvent,
    id::{EventId, Lane, SagaId, StreamId},
    log::EventLog as _,
    log::{
        TopicSpec,
        memory::MemoryLog,
        partition::lane_of,
        record::{ServiceIdentity, encode},
    },
    runtime::Timestamp,
    store::{Published, RecordedEvent},
};
use uuid::Uuid;

use crate::shop::{LANES, config};

pub(crate) fn saga() -> SagaId {
    SagaId(Uuid::from_u128(7))
}

/// Numbers events as their services would, and puts them into the log.
#[derive(Debug)]
pub(crate) struct Upstream {
    log: MemoryLog,
    numbers: Mutex<BTreeMap<(&'static str, Lane), u64>>,
}

impl Upstream {
    pub(crate) async fn on(log: &MemoryLog) -> Self {
        for service in ["order", "inventory", "shipping"] {
            let name = config(service).topic_of(service).into();
            let spec = TopicSpec { name, lanes: LANES, record_bytes_max: 1 << 20 };
            log.ensure_topic(&spec).await.expect("a topic");
        }
        Self { log: log.clone(), numbers: Mutex::default() }
    }

    /// How many events each lane of each topic has.
    pub(crate) fn said(&self) -> Vec<(String, Lane, u64)> {
        let numbers = self.numbers.lock().unwrap();
        let named = numbers
            .iter()
            .map(|((service, lane), last)| (config(service).topic_of(service), *lane, *last));
        named.collect()
    }

    /// States an event, as a new one each time.
    pub(crate) fn say<E: DomainEvent>(&self, event: &E) {
        let service = E::SOURCE.expect("an event of another service");
        let key = event.key().expect("a public event");
        let lane = lane_of(key.as_bytes(), LANES);
        let lane_seq = {
            let mut numbers = self.numbers.lock().unwrap();
            let last = numbers.entry((service, lane)).or_default();
            *last += 1;
            *last
        };
        let event = RecordedEvent {
            id: EventId(Uuid::from_u128(rand::random())),
            stream: StreamId::new("theirs", &key).expect("a key"),
            version: lane_seq,
            event_type: E::TYPE.into(),
            payload: serde_json::to_vec(event).unwrap().into(),
            saga: saga(),
            causation: "a test".into(),
            time: Timestamp(1),
            trace: None,
            published: Some(Published { lane, lane_seq, key: key.into() }),
        };
        let record = encode(&ServiceIdentity::new(service), &event).expect("a record");
        let topic = config(service).topic_of(service);
        self.log.produce_raw(&topic.into(), record).expect("it is taken");
    }
}
