//! What `foreign/risk.py` states is read by a service here: once, in the saga of the order.

use std::{sync::Arc, time::Duration};

use quadrille::{
    engine::{Config, Engine},
    id::Lane,
    log::{EventLog, Header, NewRecord, TopicSpec, memory::MemoryLog},
    prelude::*,
    runtime::Runtime,
    store::{EventStore, RecordedEvent, memory::MemoryStore},
};
use schemas::OrderId;

/// As `risk.py` writes it: `python3 sample.py > risk_assessed.json`.
const STATED: &str = include_str!("../foreign/risk_assessed.json");

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Fine,
    Review,
}

/// The declaration says whose event it is: its topic follows from that.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema, DomainEvent)]
#[event(type = "RISK_ASSESSED", key = order, source = "risk")]
struct RiskAssessed {
    order: OrderId,
    verdict: Verdict,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema, DomainEvent)]
#[event(type = "REVIEW_ASKED", key = order, source = "reviews")]
struct ReviewAsked {
    order: OrderId,
}

struct Reviews;

impl Service for Reviews {
    const NAME: &'static str = "reviews";
    type Commands = ();
    type Handles = (RiskAssessed,);
    type Steps = ();
}

#[handler]
impl EventHandler<RiskAssessed> for Reviews {
    type Emits = (ReviewAsked,);
    async fn handle(
        &self,
        risk: &Incoming<RiskAssessed>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        if matches!(risk.verdict, Verdict::Review) {
            turn.record(ReviewAsked { order: risk.order.clone() });
        }
        Ok(())
    }
}

fn record(value: String) -> NewRecord {
    let name = "content-type".into();
    let headers =
        vec![Header { name, value: "application/cloudevents+json; charset=UTF-8".into() }].into();
    let (key, time) = ("o-1".into(), Runtime::tokio().clock.now());
    NewRecord { lane: Lane(0), key, value: value.into(), headers, time }
}

async fn stored(store: &MemoryStore, count: usize) -> Vec<RecordedEvent> {
    let asked = async {
        loop {
            let events = store.read_lane(Lane(0), 0, 100).await.unwrap();
            if events.len() >= count {
                return events;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("so many reviews")
}

#[tokio::test]
async fn what_the_foreign_service_states_is_taken_once_and_in_its_saga() {
    let (log, store) = (MemoryLog::default(), MemoryStore::default());
    let name: Arc<str> = "t.risk.events".into();
    let spec = TopicSpec { name: name.clone(), lanes: 1, record_bytes_max: 1 << 20 };
    log.ensure_topic(&spec).await.unwrap();
    let mut config = Config::new("t");
    config.lanes = 1;
    let engine = Engine::new(Reviews, Arc::new(store.clone()), Arc::new(log.clone()), config);
    let running = engine.start().await.unwrap();
    let another = STATED.replace("96f62667", "00000000").replace("o-1", "o-2");
    for value in [STATED, STATED, &another] {
        log.produce_raw(&name, record(value.to_owned())).unwrap();
    }
    let events = stored(&store, 2).await;
    let orders: Vec<ReviewAsked> =
        events.iter().map(|event| serde_json::from_slice(&event.payload).unwrap()).collect();
    assert_eq!(orders[0].order.as_str(), "o-1");
    assert_eq!(orders[1].order.as_str(), "o-2");
    let cause: serde_json::Value = serde_json::from_str(STATED).unwrap();
    assert_eq!(events[0].saga.to_string(), cause["correlationid"], "the order's saga");
    assert_eq!(events[0].causation, cause["id"].as_str().unwrap());
    assert_eq!(running.client().counters().messages_duplicate, 1);
    let trace = cause["traceparent"].as_str().unwrap();
    assert_eq!(events[0].trace.as_ref().unwrap()[..35], trace[..35], "one trace");
    assert!(running.shutdown(Duration::from_secs(20)).await);
}
