//! Calls to the outside are part of their saga's trace.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use payment::{Gateway, Payment};
use serde_json::{Value, json};

use crate::{
    CALLER, SAGA, TRACE,
    collector::{Collector, Span},
    find, of_trace,
    shop::Shop,
};

/// The headers of each charge that was asked for.
type Heard = Arc<Mutex<Vec<HeaderMap>>>;

/// A gateway that has no time for the first charge, and approves all others.
async fn gateway(heard: Heard) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/charges", post(charge)).with_state(heard);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn charge(State(heard): State<Heard>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let mut heard = heard.lock().unwrap();
    heard.push(headers);
    match heard.len() {
        1 => (StatusCode::TOO_MANY_REQUESTS, Json(json!({}))),
        _ => (StatusCode::OK, Json(json!({ "status": "approved" }))),
    }
}

#[tokio::test]
async fn each_try_of_an_effect_has_a_span_and_the_saga_goes_on_below_the_last() {
    let (collector, heard) = (Collector::open().await, Heard::default());
    let at: Gateway = format!("http://{}", gateway(heard.clone()).await).parse().unwrap();
    let payment = Payment::through(at);
    let shop = Shop::with(payment, "effects", &collector.endpoint()).await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let sent = [("traceparent", &*parent), ("tracestate", "vendor=1"), ("baggage", "tenant=blue")];
    let saga = shop.place("o-1", &sent).await;
    shop.concluded("o-1").await;
    shop.close().await;

    let spans = of_trace(&collector.spans(), TRACE);
    let asked = find(&spans, ("payment", "process shop.order.events", "ORDER_CREATED"));
    let performed = |span: &&Span| span.name == "perform payment.charge_account";
    let mut tries: Vec<_> = spans.iter().filter(performed).collect();
    tries.sort_by_key(|span| span.attribute("quadrille.effect.attempt").to_owned());
    let [busy, charged] = tries[..] else { panic!("not two tries: {tries:#?}") };
    for span in [busy, charged] {
        assert_eq!((&*span.parent, span.attribute(SAGA)), (&*asked.id, &*saga));
    }
    assert_eq!(busy.attribute("error.type"), "not_sent");
    assert_eq!(charged.attribute("error.type"), "");
    let decided = find(&spans, ("payment", "decide payment.account_charged", ""));
    assert_eq!(decided.parent, charged.id);
    let reserved = find(&spans, ("inventory", "process shop.payment.events", "BILLED_ORDER"));
    assert_eq!(reserved.parent, decided.id);

    // The gateway hears of the try that calls it, in headers that are some.
    let heard = heard.lock().unwrap();
    for (headers, span) in heard.iter().zip([busy, charged]) {
        assert_eq!(headers["traceparent"], format!("00-{TRACE}-{}-01", span.id));
        assert_eq!(headers["tracestate"], "vendor=1");
        assert!(!headers.contains_key("baggage"), "the outside takes no part in the saga");
    }
    assert_eq!(heard.len(), 2);
}
