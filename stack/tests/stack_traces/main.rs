//! One saga is one trace over four processes on real Kafka and PostgreSQL, also when one of them is killed
//! between deciding and exporting.

#[path = "../../../demo/tests/one_trace/collector.rs"]
#[allow(dead_code)] // Other tests use the rest of it.
mod collector;
mod processes;

use anyhow::{Context as _, Result, ensure};
use collector::{Collector, Span};
use processes::{SERVICES, Shop};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

async fn open(collector: &Collector) -> Result<Shop> {
    let shop = Shop::open(collector.endpoint()).await?;
    let funds = json!({ "minor": 1_000_000, "currency": "EUR" });
    let (status, body) =
        shop.send("payment", "PUT", "/accounts/a-1/funds", "", Some(funds)).await?;
    ensure!(status == 204, "{body}");
    let stock = json!({ "available": 1_000 });
    let (status, body) = shop.send("inventory", "PUT", "/stock/tea", "", Some(stock)).await?;
    ensure!(status == 204, "{body}");
    Ok(shop)
}

async fn place(shop: &Shop) -> Result<()> {
    let price = json!({ "minor": 150, "currency": "EUR" });
    let body = json!({
        "order": "o-1",
        "customer": "c-1",
        "account": "a-1",
        "lines": [{ "sku": "tea", "quantity": 1, "price": price }],
        "destination": "FR",
    });
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    let (status, body) = shop.send("order", "POST", "/orders", &header, Some(body)).await?;
    ensure!(status == 202, "{status}: {body}");
    Ok(())
}

/// The trace and the span that an event is stored with.
async fn stored(shop: &Shop, service: &str, event_type: &str) -> Result<(String, String)> {
    let mut tables = PgConnection::connect(&shop.url(service)).await?;
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
    let collector = Collector::open().await;
    let mut shop = open(&collector).await?;
    // Inventory is away, so that the saga stands between payment and inventory when payment is killed.
    shop.kill("inventory")?;
    place(&shop).await?;
    shop.until("payment", "/payments/o-1", |body| body["status"] == "billed").await?;
    shop.kill("payment")?;
    let billed = stored(&shop, "payment", "BILLED_ORDER").await?;
    ensure!(billed.0 == TRACE, "{billed:?}");
    shop.start("payment")?;
    shop.start("inventory")?;
    shop.until("order", "/orders/o-1", |body| body["status"] == "concluded").await?;
    shop.until("inventory", "/reservations/o-1", |body| body["status"] == "shipped").await?;
    let metrics = shop.send("inventory", "GET", "/metrics", "", None).await?.1;
    let applied = "quadrille_messages_applied_total{service=\"inventory\"} 2";
    ensure!(metrics.contains(applied), "no {applied} in\n{metrics}");
    for service in SERVICES {
        shop.end_in_peace(service).await?;
    }

    let spans = collector.spans();
    let spans: Vec<Span> = spans.into_iter().filter(|span| span.trace == TRACE).collect();
    let request = find(&spans, "order", "POST /orders", "")?;
    ensure!(request.parent == CALLER, "{request:?}");
    let decided = find(&spans, "order", "decide PlaceOrder", "")?;
    ensure!(decided.parent == request.id, "{decided:?}");
    ensure!(stored(&shop, "order", "ORDER_CREATED").await? == (TRACE.into(), decided.id.clone()));
    // What payment decided goes on from what it stored, whether or not it could export its span.
    let reserved = find(&spans, "inventory", "process", "BILLED_ORDER")?;
    ensure!(reserved.parent == billed.1, "{reserved:?} is not below {billed:?}");
    let delivered = find(&spans, "shipping", "process", "ORDER_PREPARED")?;
    ensure!(delivered.parent == reserved.id, "{delivered:?}");
    let concluded = find(&spans, "order", "process", "ORDER_DELIVERED")?;
    ensure!(concluded.parent == delivered.id, "{concluded:?}");
    let end = stored(&shop, "order", "ORDER_CONCLUDED").await?;
    ensure!(end == (TRACE.into(), concluded.id.clone()), "{end:?}");
    shop.remove().await
}
