//! One saga is one trace over the four services: what an OTLP receiver gets, and what is stored.

#[allow(dead_code)] // Other tests use the rest of it.
mod collector;
mod effects;
mod shop;

use std::collections::{BTreeMap, BTreeSet};

use collector::{Collector, Span};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use quadrille::{id::Lane, store::RecordedEvent, telemetry::SPAN_LINKS_MAX};
use shop::Shop;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const SAGA: &str = "messaging.message.conversation_id";

/// The main line of an order that concludes: what was decided, and by which event.
const LINE: [(&str, &str, &str); 5] = [
    ("order", "decide PlaceOrder", ""),
    ("payment", "process shop.order.events", "ORDER_CREATED"),
    ("inventory", "process shop.payment.events", "BILLED_ORDER"),
    ("shipping", "process shop.inventory.events", "ORDER_PREPARED"),
    ("order", "process shop.shipping.events", "ORDER_DELIVERED"),
];

fn find<'a>(spans: &'a [Span], (service, name, event): (&str, &str, &str)) -> &'a Span {
    let good = |span: &&Span| {
        span.service == service
            && span.name == name
            && (event.is_empty() || span.attribute("cloudevents.event_type") == event)
    };
    let found: Vec<&Span> = spans.iter().filter(good).collect();
    assert_eq!(found.len(), 1, "{service}: {name} of {event}: {found:#?}");
    found[0]
}

fn of_trace(spans: &[Span], trace: &str) -> Vec<Span> {
    spans.iter().filter(|span| span.trace == trace).cloned().collect()
}

async fn events(shop: &Shop, service: &str) -> Vec<RecordedEvent> {
    let (_, store) = shop.stores.iter().find(|(name, _)| *name == service).unwrap();
    let mut events = vec![];
    for (lane, _) in (0u32..).zip(store.lane_heads().await.unwrap()) {
        events.extend(store.read_lane(Lane(lane), 0, 1_000).await.unwrap());
    }
    events
}

#[tokio::test]
async fn a_callers_trace_goes_through_all_services_and_has_no_holes() {
    let collector = Collector::open().await;
    let shop = Shop::open("caller", &collector.endpoint()).await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers =
        [("traceparent", &*parent), ("tracestate", "vendor=1"), ("baggage", "tenant=blue")];
    let saga = shop.place("o-1", &headers).await;
    shop.concluded("o-1").await;
    let stored = events(&shop, "order").await;
    shop.close().await;

    let spans = of_trace(&collector.spans(), TRACE);
    let request = find(&spans, ("order", "POST /orders", ""));
    assert_eq!((request.kind, &*request.parent), (SpanKind::Server, CALLER));
    assert_eq!(request.attribute("http.response.status_code"), "202");
    // Down the main line, each is the child of the one that decided its event.
    let mut above = request.id.clone();
    for step in LINE {
        let span = find(&spans, step);
        assert_eq!(span.parent, above, "{step:?}");
        assert_eq!(span.attribute(SAGA), saga);
        above.clone_from(&span.id);
    }
    // No span lacks its parent, and no other trace knows the saga.
    let ids: BTreeSet<&str> = spans.iter().map(|span| &*span.id).chain([CALLER]).collect();
    for span in &spans {
        assert!(ids.contains(&*span.parent), "a hole above {span:#?}");
    }
    let all = collector.spans();
    assert!(all.iter().all(|span| span.attribute(SAGA) != saga || span.trace == TRACE));
    // The last event is stored under the span that decided it, with what came along.
    let concluded = stored.iter().find(|e| e.event_type == "ORDER_CONCLUDED").unwrap();
    let carried = format!("00-{TRACE}-{above}-01\nvendor=1\ntenant=blue");
    assert_eq!(concluded.trace.as_deref(), Some(&*carried));
}

#[tokio::test]
async fn names_and_attributes_are_those_of_the_messaging_conventions() {
    let collector = Collector::open().await;
    let shop = Shop::open("names", &collector.endpoint()).await;
    let saga = shop.place("o-1", &[]).await;
    shop.concluded("o-1").await;
    shop.close().await;

    // Without a caller the saga's id is the trace's.
    let spans = of_trace(&collector.spans(), &saga.replace('-', ""));
    let request = find(&spans, ("order", "POST /orders", ""));
    assert_eq!(request.parent, "");
    let processed = find(&spans, LINE[1]);
    let creation = find(&spans, LINE[0]);
    for (name, kind, operation, service) in [
        ("send shop.order.events", SpanKind::Client, "send", "order"),
        ("poll shop.order.events", SpanKind::Client, "receive", "payment"),
        ("process shop.order.events", SpanKind::Consumer, "process", "payment"),
        ("commit shop.order.events", SpanKind::Client, "settle", "payment"),
    ] {
        let event = |span: &&Span| span.service == service && span.name == name;
        let span = spans.iter().find(event).unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
        assert_eq!(span.kind, kind, "{name}");
        assert_eq!(span.attribute("messaging.system"), "kafka");
        assert_eq!(span.attribute("messaging.operation.type"), operation);
        assert_eq!(span.attribute("messaging.operation.name"), name.split(' ').next().unwrap());
        assert_eq!(span.attribute("messaging.destination.name"), "shop.order.events");
        assert!((1..60_000_000_000).contains(&span.nanos), "{span:#?}");
        assert!(!span.links.contains(&format!("{}-{}", span.trace, span.parent)), "said twice");
        match operation {
            "send" => assert_eq!(span.parent, creation.id),
            "settle" => assert_eq!(span.parent, processed.id),
            _ => assert_eq!(span.attribute("messaging.consumer.group.name"), "shop.payment"),
        }
    }
    assert!(processed.attribute("messaging.kafka.offset").parse::<i64>().is_ok());
    assert!(processed.attribute("messaging.destination.partition.id").parse::<u32>().is_ok());
    assert_eq!(processed.attribute("cloudevents.event_source"), "/quadrille/order");
    assert_eq!(processed.attribute("messaging.kafka.message.key"), "o-1");
}

#[tokio::test]
async fn under_load_each_saga_keeps_its_trace_and_batches_link_within_their_limit() {
    const ORDERS: usize = 150;
    let collector = Collector::open().await;
    let shop = Shop::open("load", &collector.endpoint()).await;
    let names: Vec<String> = (0..ORDERS).map(|n| format!("o-{n}")).collect();
    let placed = names.iter().map(|name| shop.place(name, &[]));
    let sagas: Vec<String> = futures_util::future::join_all(placed).await;
    for name in &names {
        shop.concluded(name).await;
    }
    shop.close().await;

    let mut traces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let spans = collector.spans();
    for span in &spans {
        if !span.attribute(SAGA).is_empty() {
            traces.entry(span.attribute(SAGA).to_owned()).or_default().insert(span.trace.clone());
        }
        assert!(span.links.len() <= SPAN_LINKS_MAX);
    }
    for saga in sagas {
        assert_eq!(traces[&saga], BTreeSet::from([saga.replace('-', "")]));
    }
    let batches = spans.iter().filter(|span| span.links.len() > 1).count();
    assert!(batches > 0, "150 orders at once make batches");
}

#[tokio::test]
async fn metrics_count_what_has_happened() {
    let collector = Collector::open().await;
    let shop = Shop::open("metrics", &collector.endpoint()).await;
    shop.place("o-1", &[]).await;
    shop.concluded("o-1").await;
    let text = shop.text("payment", "/metrics").await;
    let value = |series: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).trim().parse().unwrap()
    };
    let service = "{service=\"payment\"}";
    assert_eq!(value(&format!("quadrille_messages_applied_total{service}")), 1.0);
    assert_eq!(value(&format!("quadrille_ready{service}")), 1.0);
    assert_eq!(value(&format!("quadrille_relay_lag_events{service}")), 0.0);
    assert!(value(&format!("quadrille_append_duration_seconds_count{service}")) >= 2.0);
    assert_eq!(value(&format!("quadrille_dead_letters_total{service}")), 0.0);
    shop.close().await;
}
