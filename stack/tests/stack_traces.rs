//! One saga is one trace over four processes on real Kafka and PostgreSQL, also when one of them is killed
//! between deciding and exporting.

#[path = "../../demo/tests/one_trace/collector.rs"]
#[allow(dead_code)] // Other tests use the rest of it.
mod collector;

use anyhow::{Context as _, Result, ensure};
use collector::{Collector, Span};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use stack::{
    http,
    place::Place,
    processes::{SERVICES, Stack},
    story::alone,
    wait,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

const PROGRAM: &str = env!("CARGO_BIN_EXE_stack-service");

/// All four, exporting their spans, with funds and stock.
async fn open(collector: &Collector) -> Result<Stack> {
    let mut stack = Stack::prepare(Place::given(PROGRAM)?).await?;
    for service in SERVICES {
        stack.tell(service, "OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
        stack.start(service, 1)?;
    }
    stack.until_ready().await?;
    let funds = json!({ "minor": 1_000_000, "currency": "EUR" });
    ask(&stack, "payment", "PUT", "/accounts/a-1/funds", "", Some(funds), 204).await?;
    let stock = json!({ "available": 1_000 });
    ask(&stack, "inventory", "PUT", "/stock/tea", "", Some(stock), 204).await?;
    Ok(stack)
}

async fn ask(
    stack: &Stack,
    service: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<Value>,
    wanted: u16,
) -> Result<String> {
    let address = *stack.addresses().of(service).first().context("no such process")?;
    let answer = http::send_with(address, method, path, headers, body.as_ref()).await?;
    ensure!(answer.status == wanted, "{method} {path}: {answer:?}");
    Ok(answer.body)
}

/// Waits until something stands so.
async fn until(stack: &Stack, service: &str, path: &str, status: &str) -> Result<()> {
    wait::until(&format!("{path} to be {status}"), wait::LIMIT, async || {
        let answer = ask(stack, service, "GET", path, "", None, 200).await;
        let body = answer.ok().and_then(|body| serde_json::from_str::<Value>(&body).ok());
        Ok(body.is_some_and(|body| body["status"] == status))
    })
    .await
}

async fn place(stack: &Stack) -> Result<()> {
    let price = json!({ "minor": 150, "currency": "EUR" });
    let body = json!({
        "order": "o-1",
        "customer": "c-1",
        "account": "a-1",
        "lines": [{ "sku": "tea", "quantity": 1, "price": price }],
        "destination": "FR",
    });
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    ask(stack, "order", "POST", "/orders", &header, Some(body), 202).await?;
    Ok(())
}

/// The trace and the span that an event is stored with.
async fn stored(stack: &Stack, service: &str, event_type: &str) -> Result<(String, String)> {
    let mut tables = PgConnection::connect(&stack.url(service)).await?;
    let row = sqlx::query("SELECT trace FROM events WHERE event_type = $1")
        .bind(event_type)
        .fetch_one(&mut tables)
        .await?;
    let text: String = row.try_get(0)?;
    let mut parts = text.split('-').skip(1).map(str::to_owned);
    Ok((parts.next().context("no trace")?, parts.next().context("no span")?))
}

fn find<'a>(spans: &'a [Span], service: &str, name: &str, event: &str) -> Result<&'a Span> {
    let good = |span: &&Span| {
        span.service == service
            && span.name.starts_with(name)
            && (event.is_empty() || span.attribute("cloudevents.event_type") == event)
    };
    spans.iter().find(good).with_context(|| format!("{service}: no {name} {event}: {spans:#?}"))
}

#[tokio::test]
async fn a_trace_goes_on_through_a_kill() -> Result<()> {
    let _alone = alone().await;
    let collector = Collector::open().await;
    let mut stack = open(&collector).await?;
    // Inventory is away, so that the saga stands between payment and inventory when payment is killed.
    stack.kill("inventory", 1)?;
    place(&stack).await?;
    until(&stack, "payment", "/payments/o-1", "billed").await?;
    stack.kill("payment", 1)?;
    let billed = stored(&stack, "payment", "BILLED_ORDER").await?;
    ensure!(billed.0 == TRACE, "{billed:?}");
    stack.start("payment", 1)?;
    stack.start("inventory", 1)?;
    until(&stack, "order", "/orders/o-1", "concluded").await?;
    until(&stack, "inventory", "/reservations/o-1", "shipped").await?;
    let metrics = ask(&stack, "inventory", "GET", "/metrics", "", None, 200).await?;
    let applied = "quadrille_messages_applied_total{service=\"inventory\"} 2";
    ensure!(metrics.contains(applied), "no {applied} in\n{metrics}");
    for service in SERVICES {
        stack.end_in_peace(service, 1).await?;
    }

    let spans = collector.spans();
    let spans: Vec<Span> = spans.into_iter().filter(|span| span.trace == TRACE).collect();
    let request = find(&spans, "order", "POST /orders", "")?;
    ensure!(request.parent == CALLER, "{request:?}");
    let decided = find(&spans, "order", "decide PlaceOrder", "")?;
    ensure!(decided.parent == request.id, "{decided:?}");
    ensure!(stored(&stack, "order", "ORDER_CREATED").await? == (TRACE.into(), decided.id.clone()));
    // What payment decided goes on from what it stored, whether or not it could export its span.
    let reserved = find(&spans, "inventory", "process", "BILLED_ORDER")?;
    ensure!(reserved.parent == billed.1, "{reserved:?} is not below {billed:?}");
    let delivered = find(&spans, "shipping", "process", "ORDER_PREPARED")?;
    ensure!(delivered.parent == reserved.id, "{delivered:?}");
    let concluded = find(&spans, "order", "process", "ORDER_DELIVERED")?;
    ensure!(concluded.parent == delivered.id, "{concluded:?}");
    let end = stored(&stack, "order", "ORDER_CONCLUDED").await?;
    ensure!(end == (TRACE.into(), concluded.id.clone()), "{end:?}");
    stack.remove().await
}
