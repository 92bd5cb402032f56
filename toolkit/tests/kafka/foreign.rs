//! A plain producer, that knows nothing of us, and a service that listens to it (P4).

use quadrille::{
    engine::{Config, Engine, Running},
    prelude::*,
    store::{EventStore, memory::MemoryStore},
};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema, DomainEvent)]
#[event(type = "RISK_ASSESSED", key = order, source = "risk")]
pub(super) struct RiskAssessed {
    order: String,
    verdict: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema, DomainEvent)]
#[event(type = "REVIEW_ASKED", key = order, source = "reviews")]
pub(super) struct ReviewAsked {
    order: String,
}

pub(super) struct Reviews;

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
        if risk.verdict == "review" {
            turn.record(ReviewAsked { order: risk.order.clone() });
        }
        Ok(())
    }
}

fn record(headers: &[(&'static str, &str)], order: &str, value: String) -> NewRecord {
    let header = |(name, value): &(&'static str, &str)| Header {
        name: (*name).into(),
        value: (*value).to_owned().into(),
    };
    NewRecord {
        lane: Lane(0),
        key: order.to_owned().into(),
        value: value.into(),
        headers: headers.iter().map(header).collect(),
        time: quadrille::runtime::Runtime::tokio().clock.now(),
    }
}

pub(super) fn binary(id: &str, order: &str) -> NewRecord {
    let headers = [
        (name::SPEC_VERSION, "1.0"),
        (name::ID, id),
        (name::SOURCE, "https://risk.example/orders"),
        (name::TYPE, "RISK_ASSESSED"),
        (name::CONTENT_TYPE, "application/json"),
    ];
    record(&headers, order, format!(r#"{{"order":"{order}","verdict":"review"}}"#))
}

fn structured(id: &str, order: &str) -> NewRecord {
    let value = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"https://risk.example/orders",
            "type":"RISK_ASSESSED","data":{{"order":"{order}","verdict":"review"}}}}"#
    );
    record(&[(name::CONTENT_TYPE, "application/cloudevents+json")], order, value)
}

pub(super) async fn start(
    cluster: &Cluster,
    store: &MemoryStore,
    namespace: &str,
) -> Running<Reviews> {
    let mut config = Config::new(namespace);
    config.lanes = 1;
    let (store, log) = (Arc::new(store.clone()), Arc::new(cluster.log()));
    Engine::new(Reviews, store, log, config).start().await.expect("it starts")
}

/// The orders whose review was asked for, when there are so many.
async fn asked(store: &MemoryStore, count: usize) -> Vec<String> {
    let until = Instant::now() + DEADLINE;
    loop {
        let events = store.read_lane(Lane(0), 0, 100).await.unwrap();
        if events.len() >= count {
            return events.into_iter().map(|e| e.published.unwrap().key.to_string()).collect();
        }
        assert!(Instant::now() < until, "{count} reviews: {events:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p04_a_plain_producer_is_heard_once() {
    let cluster = connect().await;
    let namespace = unique("foreign");
    let topic = format!("{namespace}.risk.events");
    cluster.make_topic(&spec(&topic, 2), &[]).await;
    let store = MemoryStore::default();
    let first = start(&cluster, &store, &namespace).await;
    let records = vec![binary("1", "o-1"), binary("1", "o-1"), structured("2", "o-2")];
    cluster.produce(&topic, records).await;
    assert_eq!(asked(&store, 2).await, ["o-1", "o-2"]);
    assert!(first.shutdown(DEADLINE).await);

    // Over a restart, in another partition, in the other mode: still the same events.
    let again = NewRecord { lane: Lane(1), ..structured("1", "o-1") };
    cluster.produce(&topic, vec![binary("2", "o-2"), again, binary("3", "o-3")]).await;
    let second = start(&cluster, &store, &namespace).await;
    assert_eq!(asked(&store, 3).await, ["o-1", "o-2", "o-3"]);
    let last = NewRecord { lane: Lane(1), ..binary("4", "o-4") };
    cluster.produce(&topic, vec![last]).await;
    assert_eq!(asked(&store, 4).await.len(), 4);
    let counters = second.client().counters();
    assert_eq!((counters.messages_duplicate, counters.messages_applied), (2, 2));
    assert_eq!(counters.messages_dead, 0);
    assert!(second.shutdown(DEADLINE).await);
}
