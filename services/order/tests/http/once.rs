//! `Idempotency-Key`: a request that comes twice is carried out once, and answered the same.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use order::{Order, Orders};
use quadrille::{
    engine::{Config, Engine, Running},
    log::memory::MemoryLog,
    store::{EventStore, memory::MemoryStore},
    testing::faulty_store::{Fault, FaultyStore},
};
use schemas::OrderId;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::support::{Shop, placement};

/// Everything that a client sees of an answer.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Seen {
    fn problem(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["type"].as_str().unwrap().replace("urn:quadrille:problem:", "")
    }
}

async fn ask(router: &Router, method: Method, path: &str, key: &str, body: &Value) -> Seen {
    let request = Request::builder().method(method).uri(path);
    let request =
        request.header(header::CONTENT_TYPE, "application/json").header("Idempotency-Key", key);
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let location = response.headers().get(header::LOCATION);
    let location = location.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Seen { status, location, body: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn post(router: &Router, path: &str, key: &str, body: &Value) -> Seen {
    ask(router, Method::POST, path, key, body).await
}

#[tokio::test]
async fn the_same_request_under_a_key_gets_the_first_answer_and_another_is_refused() {
    let shop = Shop::open().await;
    let router = shop.router("order");
    let order = placement("o-1", 1, "FR");
    let first = post(router, "/orders", "\"k-1\"", &order).await;
    assert_eq!((first.status, first.location.as_deref()), (202, Some("/orders/o-1")));
    assert_eq!(post(router, "/orders", "\"k-1\"", &order).await, first);
    assert_eq!(post(router, "/orders", "k-1", &order).await, first, "bare means the same");

    let other = post(router, "/orders", "\"k-1\"", &placement("o-2", 1, "FR")).await;
    assert_eq!((other.status, &*other.problem()), (422, "idempotency-key-reused"));
    assert_eq!(shop.get("order", "/orders/o-2").await.status, 404, "nothing has happened");
    for malformed in ["", "\"k", "a b", &"k".repeat(256)] {
        let refused = post(router, "/orders", malformed, &order).await;
        assert_eq!((refused.status, &*refused.problem()), (400, "malformed-idempotency-key"));
    }
    // What was not decided does not use the key up.
    let broken = post(router, "/orders", "k-2", &json!({ "order": "o-2" })).await;
    assert_eq!((broken.status, &*broken.problem()), (422, "invalid-body"));
    let mended = post(router, "/orders", "k-2", &placement("o-2", 1, "FR")).await;
    assert_eq!(mended.status, 202);
    shop.close().await;
}

/// A refusal is an answer: it comes again although it would not be given now.
#[tokio::test]
async fn a_refusal_under_a_key_comes_again() {
    let shop = Shop::open().await;
    let router = shop.router("order");
    let cancel = "/orders/o-1/cancel";
    let unknown = post(router, cancel, "k", &Value::Null).await;
    assert_eq!((unknown.status, &*unknown.problem()), (404, "unknown-order"));
    // Another route: the same key is another one there.
    assert_eq!(post(router, "/orders", "k", &placement("o-1", 1, "AQ")).await.status, 202);
    assert_eq!(post(router, cancel, "k", &Value::Null).await, unknown);
    let elsewhere = post(router, "/orders/o-2/cancel", "k", &Value::Null).await;
    assert_eq!(elsewhere.problem(), "idempotency-key-reused", "another order's cancellation");
    assert_ne!(post(router, cancel, "another", &Value::Null).await, unknown);
    shop.close().await;
}

/// What sets a value would undo a later change when it came again.
#[tokio::test]
async fn a_repeated_setting_does_not_undo_what_came_after_it() {
    let shop = Shop::open().await;
    for (service, path, field, view) in [
        ("payment", "/accounts/a-1/funds", "minor", "/accounts/a-1"),
        ("inventory", "/stock/tea", "available", "/stock/tea"),
    ] {
        let body = |n: u32| match service {
            "payment" => json!({ field: n, "currency": "EUR" }),
            _ => json!({ field: n }),
        };
        let router = shop.router(service);
        let put = |key: &'static str, n| {
            let body = body(n);
            async move { ask(router, Method::PUT, path, key, &body).await.status }
        };
        assert_eq!(put("k-1", 100).await, 204);
        assert_eq!(put("k-2", 200).await, 204);
        assert_eq!(put("k-1", 100).await, 204, "the first answer");
        assert_eq!(put("k-1", 300).await, 422, "another body");
        let seen = shop.get(service, view).await.body;
        let value = if service == "payment" { &seen["funds"]["minor"] } else { &seen[field] };
        assert_eq!(value, 200, "{service}");
    }
    shop.close().await;
}

/// Two clients with one key at the same moment, over and over: one order each, and one answer.
#[tokio::test]
async fn two_clients_with_one_key_place_one_order() {
    let shop = Shop::open().await;
    let router = shop.router("order");
    for n in 0..200 {
        let (key, order) = (format!("k-{n}"), placement(&format!("o-{n}"), 1, "FR"));
        let place = || post(router, "/orders", &key, &order);
        let (one, two) = tokio::join!(place(), place());
        assert_eq!(one, two);
        assert_eq!(one.status, 202);
    }
    shop.close().await;
}

async fn start(store: Arc<dyn EventStore>, log: &MemoryLog, patience: u64) -> Running<Orders> {
    let mut config = Config::new("test");
    config.limits.backoff_first = Duration::from_secs(patience);
    config.sources = Some(vec![]);
    config.limits.lease_ttl = Duration::from_millis(300);
    Engine::new(Orders, store, Arc::new(log.clone()), config).start().await.unwrap()
}

/// The service has committed, and its client never hears of it.
#[tokio::test]
async fn after_a_crash_between_commit_and_answer_the_answer_is_there() {
    let (log, store) = (MemoryLog::default(), Arc::new(FaultyStore::new(MemoryStore::default())));
    let order = placement("o-1", 1, "FR");
    let first = start(store.clone(), &log, 3600).await;
    store.script([Fault::UnknownCommitted]);
    let (router, body) = (order::router(first.client()), order.clone());
    let unheard = tokio::spawn(async move { post(&router, "/orders", "k", &body).await });
    let id: OrderId = "o-1".parse().unwrap();
    while first.client().load::<Order>(&id).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(!unheard.is_finished());
    unheard.abort();
    let second = start(Arc::new(store.inner().clone()), &log, 1).await;
    let router = order::router(second.client());
    let again = post(&router, "/orders", "k", &order).await;
    assert_eq!(again.status, 202);
    assert_eq!(post(&router, "/orders", "k", &order).await, again);
    let other = post(&router, "/orders", "k", &placement("o-1", 2, "FR")).await;
    assert_eq!(other.problem(), "idempotency-key-reused");
    let created = store.read_lanes().await;
    let body: Value = serde_json::from_str(&again.body).unwrap();
    assert_eq!(created.len(), 1, "one order");
    assert_eq!(body["saga"], created[0], "its own saga");
}

trait Lanes {
    async fn read_lanes(&self) -> Vec<String>;
}

impl Lanes for FaultyStore<MemoryStore> {
    /// The sagas of all public events.
    async fn read_lanes(&self) -> Vec<String> {
        let mut sagas = vec![];
        for lane in 0..6 {
            let lane = quadrille::id::Lane(lane);
            let events = self.read_lane(lane, 0, 100).await.unwrap();
            sagas.extend(events.iter().map(|event| event.saga.to_string()));
        }
        sagas
    }
}
