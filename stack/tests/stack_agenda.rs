//! SIGKILL while something is on the agenda of a real process: between the claim, the call and the outcome of
//! an effect, and between a deadline's time and its firing. Plain SQL and the gateway's own books tell
//! afterwards what happened how often.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use demo::audit::{Audit, Books, End};
use gateway::{Amount, Trouble};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use stack::{
    gateway::GatewayProcess,
    hold::Hold,
    http, laws,
    place::Place,
    processes::{SERVICES, Stack},
    quiet,
    story::{QUIET_LIMIT, alone},
    tables, topics, wait,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stack-service");
/// Orders that stand at the same point when a process is killed.
const ORDERS: u64 = 6;
const STOCK: u64 = 1_000;
const FUNDS: u64 = 1_000_000;
/// How long payment waits for the gateway. A dead process's claim lasts twice as long, and five seconds.
const CALL_TIMEOUT_MS: u64 = 4_000;
/// Less than that: a call that is under way for long, and has an answer.
const SLOW_MS: u64 = 3_000;
/// Longer than any test.
const NEVER_MS: u64 = 600_000;
/// Long enough to place some orders in, and to stop the process before it is over.
const FINISH_WITHIN_S: u64 = 5;

/// The services, and a gateway that has the accounts.
struct Market {
    stack: Stack,
    gateway: GatewayProcess,
    placed: u64,
}

impl Market {
    /// With these services at work, and tea for everyone.
    async fn open(services: &[&'static str], tell: &[(&'static str, u64)]) -> Result<Self> {
        let place = Place::given(PROGRAM)?;
        let gateway = GatewayProcess::start(&place.program).await?;
        gateway.fund("ann", &Amount { minor: FUNDS, currency: "EUR".to_owned() }).await?;
        let mut stack = Stack::prepare(place).await?;
        stack.tell("payment", "PAYMENT_GATEWAY_URL", &gateway.url());
        stack.tell("payment", "PAYMENT_GATEWAY_TIMEOUT_MS", &CALL_TIMEOUT_MS.to_string());
        for (variable, value) in tell {
            stack.tell("order", variable, &value.to_string());
        }
        for service in services {
            stack.start(service, 1)?;
        }
        stack.until_ready().await?;
        let market = Self { stack, gateway, placed: 0 };
        let stock = json!({ "available": STOCK });
        market.ask("inventory", "PUT", "/stock/tea", Some(stock), 204).await?;
        Ok(market)
    }

    async fn ask(
        &self,
        service: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        wanted: u16,
    ) -> Result<Value> {
        let address = *self.stack.addresses().of(service).first().context("no such process")?;
        let answer = http::send(address, method, path, body.as_ref()).await?;
        ensure!(answer.status == wanted, "{method} {path}: {answer:?}");
        Ok(serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// Places [`ORDERS`] more: one tea each.
    async fn place(&mut self) -> Result<()> {
        for _ in 0..ORDERS {
            let price = json!({ "minor": 150, "currency": "EUR" });
            let body = json!({
                "order": format!("o-{}", self.placed), "customer": "ann", "account": "ann",
                "lines": [{ "sku": "tea", "quantity": 1, "price": price }], "destination": "NL",
            });
            self.ask("order", "POST", "/orders", Some(body), 202).await?;
            self.placed += 1;
        }
        Ok(())
    }

    /// Every event of a type, private ones too.
    async fn stated(&self, service: &str, event_type: &str) -> Result<u64> {
        Ok(tables::count_types(&self.stack.url(service), &[event_type]).await?.unsigned_abs())
    }

    async fn number(&self, service: &str, query: &'static str) -> Result<u64> {
        let mut database = PgConnection::connect(&self.stack.url(service)).await?;
        let row = sqlx::query(query).fetch_one(&mut database).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    async fn until_stated(&self, service: &str, event_type: &str, count: u64) -> Result<()> {
        wait::until(&format!("{count} times {event_type}"), wait::LIMIT, async || {
            Ok(self.stated(service, event_type).await? >= count)
        })
        .await
    }

    async fn until_charged(&self, count: u64) -> Result<()> {
        wait::until(&format!("{count} charges"), wait::LIMIT, async || {
            Ok(self.gateway.totals().await?.charges_approved == count)
        })
        .await
    }

    /// Places [`ORDERS`] more, with a gateway that takes its time, and waits until it has all their calls.
    async fn place_with_calls_under_way(&mut self) -> Result<()> {
        let slow = Trouble { delay_ms: SLOW_MS, delay_percent: 100, ..Trouble::default() };
        self.gateway.trouble(&slow).await?;
        let before = self.gateway.totals().await?.trouble.delayed;
        self.place().await?;
        wait::until("all calls to be under way", wait::LIMIT, async || {
            Ok(self.gateway.totals().await?.trouble.delayed >= before + ORDERS)
        })
        .await?;
        self.gateway.trouble(&Trouble::default()).await
    }

    /// SIGKILL, with nothing of the last [`ORDERS`] stated so far.
    async fn kill_before(&mut self, service: &'static str, event_type: &str) -> Result<()> {
        self.stack.kill(service, 1)?;
        let (stated, before) = (self.stated(service, event_type).await?, self.placed - ORDERS);
        ensure!(stated == before, "killed too late: {stated} {event_type} instead of {before}");
        Ok(())
    }

    /// All is quiet, store and log agree, the laws hold; and each order has this once.
    async fn check(&self, service: &str, once: &[&str], end: End) -> Result<()> {
        quiet::until_quiet(&self.stack, self.placed, QUIET_LIMIT).await?;
        let nothing_left = "SELECT count(*) FROM agenda";
        for service in SERVICES {
            wait::until("an empty agenda", wait::LIMIT, async || {
                Ok(self.number(service, nothing_left).await? == 0)
            })
            .await?;
        }
        quiet::until_quiet(&self.stack, self.placed, QUIET_LIMIT).await?;
        for event_type in once {
            let times = times_by_stream(&self.stack.url(service), event_type).await?;
            ensure!(times.len() as u64 == self.placed, "{event_type}: {times:?}");
            ensure!(times.iter().all(|(_, times)| *times == 1), "{event_type}: {times:?}");
        }
        let mut audit = Audit::default();
        for service in SERVICES {
            let stored = tables::public_events(&self.stack.url(service)).await?;
            topics::compare(service, &stored, &topics::read_all(&self.stack, service).await?)?;
            for event in &stored {
                audit.note(&event.recorded())?;
            }
        }
        laws::check(&audit, &self.books().await?)?;
        ensure!(audit.ends() == [(end, self.placed)].into(), "{:?}", audit.ends());
        quiet::until_no_transaction_is_open(&self.stack).await
    }

    async fn books(&self) -> Result<Books> {
        let stock = self.ask("inventory", "GET", "/stock/tea", None, 200).await?;
        let count = |name: &str| stock[name].as_u64().with_context(|| format!("{stock}"));
        let stock = (STOCK, count("available")?, count("reserved")?, count("shipped")?);
        let totals = self.gateway.totals().await?;
        ensure!(totals.references_charged_twice == 0, "{totals:?}");
        let money = totals.money.get("EUR").copied().unwrap_or_default();
        let (captured, refunded) = (money.charged, money.refunded);
        Ok(Books { captured, refunded, stock: vec![stock] })
    }
}

/// How often an event was stated, by its stream.
async fn times_by_stream(url: &str, event_type: &str) -> Result<Vec<(String, i64)>> {
    const TIMES: &str =
        "SELECT stream, count(*) FROM events WHERE event_type = $1 GROUP BY stream ORDER BY stream";
    let mut database = PgConnection::connect(url).await?;
    let rows = sqlx::query(TIMES).bind(event_type).fetch_all(&mut database).await?;
    let times = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(times.collect::<Result<_, sqlx::Error>>()?)
}

#[tokio::test]
async fn p14_payment_killed_between_claim_call_and_outcome_charges_once() -> Result<()> {
    let _alone = alone().await;
    let mut market = Market::open(&SERVICES, &[]).await?;

    // The call is under way, and nothing is done yet. It lands all the same, after its caller's death.
    market.place_with_calls_under_way().await?;
    market.kill_before("payment", "BILLED_ORDER").await?;
    let by_then = market.gateway.totals().await?.charges_approved;
    ensure!(by_then == 0, "killed too late: {by_then} charges");
    market.stack.start("payment", 1)?;
    market.until_stated("payment", "BILLED_ORDER", market.placed).await?;

    // The money is taken, and nobody but the gateway knows.
    let mute = Trouble { delay_answer_ms: NEVER_MS, delay_percent: 100, ..Trouble::default() };
    market.gateway.trouble(&mute).await?;
    market.place().await?;
    market.until_charged(market.placed).await?;
    market.kill_before("payment", "BILLED_ORDER").await?;
    market.gateway.trouble(&Trouble::default()).await?;
    market.stack.start("payment", 1)?;
    market.until_stated("payment", "BILLED_ORDER", market.placed).await?;

    // The answer is there, and what was decided on it does not reach the store.
    market.place_with_calls_under_way().await?;
    let hold = Hold::of(&market.stack.url("payment")).await?;
    market.until_charged(market.placed).await?;
    hold.until_one_waits().await?;
    market.kill_before("payment", "BILLED_ORDER").await?;
    hold.end_waiting().await?;
    hold.release().await?;
    market.stack.start("payment", 1)?;

    market.check("payment", &["BILLED_ORDER", "payment.account_charged"], End::Concluded).await?;
    let totals = market.gateway.totals().await?;
    ensure!((totals.charges_approved, totals.refunds_made) == (market.placed, 0), "{totals:?}");
    market.stack.remove().await
}

const DUE: &str = "SELECT count(*) FROM agenda WHERE kind = 'deadline' \
                   AND due <= extract(epoch FROM clock_timestamp()) * 1000000";
const CLAIMED: &str =
    "SELECT count(*) FROM agenda WHERE kind = 'deadline' AND leased_until > clock_timestamp()";

impl Market {
    async fn until_at_least(&self, what: &str, query: &'static str, count: u64) -> Result<()> {
        wait::until(what, wait::LIMIT, async || Ok(self.number("order", query).await? >= count))
            .await
    }
}

#[tokio::test]
async fn p13_order_killed_between_a_deadlines_time_and_its_firing_fires_it_once() -> Result<()> {
    const FIRED: &str = "ORDER_CANCELLATION_REQUESTED";
    let _alone = alone().await;
    // Nobody bills: no order ends before its time is up.
    let services = ["order", "inventory", "shipping"];
    let mut market = Market::open(&services, &[("ORDER_FINISH_WITHIN", FINISH_WITHIN_S)]).await?;

    // Their time is up, and nobody has claimed them: the process is stopped, and never wakes up.
    market.place().await?;
    market.stack.signal("order", 1, Signal::SIGSTOP)?;
    market.until_at_least("the time to be up", DUE, ORDERS).await?;
    market.kill_before("order", FIRED).await?;
    market.stack.start("order", 1)?;
    market.until_stated("order", FIRED, market.placed).await?;

    // They are claimed, and the firing does not reach the store.
    market.stack.until_ready_of("order").await?;
    market.place().await?;
    let hold = Hold::of(&market.stack.url("order")).await?;
    market.until_at_least("a claim", CLAIMED, 1).await?;
    hold.until_one_waits().await?;
    market.kill_before("order", FIRED).await?;
    hold.end_waiting().await?;
    hold.release().await?;
    market.stack.start("order", 1)?;
    market.until_stated("order", FIRED, market.placed).await?;

    // They are claimed, and the firing reaches the store after its process has died.
    market.stack.until_ready_of("order").await?;
    market.place().await?;
    let hold = Hold::of(&market.stack.url("order")).await?;
    market.until_at_least("a claim", CLAIMED, 1).await?;
    hold.until_one_waits().await?;
    market.kill_before("order", FIRED).await?;
    hold.release().await?;
    market.stack.start("order", 1)?;
    market.stack.start("payment", 1)?;

    market.check("order", &[FIRED, "order.time_is_up"], End::Expired).await?;
    let waited = Duration::from_secs(FINISH_WITHIN_S);
    ensure!(earliest_firing(&market.stack.url("order")).await? >= waited, "fired too early");
    market.stack.remove().await
}

/// The shortest time from an order's placing to its deadline's firing.
async fn earliest_firing(url: &str) -> Result<Duration> {
    const EARLIEST: &str = "SELECT min(fired.time - placed.time) FROM events fired \
        JOIN events placed ON placed.key = fired.key AND placed.event_type = 'ORDER_CREATED' \
        WHERE fired.event_type = 'ORDER_CANCELLATION_REQUESTED'";
    let mut database = PgConnection::connect(url).await?;
    let micros: i64 = sqlx::query(EARLIEST).fetch_one(&mut database).await?.try_get(0)?;
    Ok(Duration::from_micros(micros.unsigned_abs()))
}
