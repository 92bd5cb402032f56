//! Drives the demo's story over HTTP, as clients would: what has no good answer is asked again.

use std::{
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use demo::{
    audit::Books,
    script::{Placement, Script},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    http,
    processes::{Addresses, Stack},
};

/// Clients that are busy at the same time.
const CLIENTS: usize = 8;
/// How long a client keeps asking: as long as a dead process may take to come back.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// The customers of one script.
#[derive(Clone, Debug)]
pub struct Driver {
    addresses: Addresses,
    script: Script,
}

impl Driver {
    /// Customers of these processes, and of those that are started later.
    #[must_use]
    pub fn new(stack: &Stack, script: Script) -> Self {
        Self { addresses: stack.addresses(), script }
    }

    /// How many orders the script has.
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.script.sagas
    }

    /// Fills accounts and stock.
    ///
    /// # Errors
    /// A request that is refused, or has no answer for long.
    pub async fn prepare(&self) -> Result<()> {
        for (account, funds) in self.script.accounts()? {
            let body = json!({"minor": funds.minor(), "currency": "EUR"});
            self.ask("payment", "PUT", &format!("/accounts/{account}/funds"), Some(body), &[204])
                .await?;
        }
        for (sku, available) in self.script.stock()? {
            let body = json!({ "available": available });
            self.ask("inventory", "PUT", &format!("/stock/{sku}"), Some(body), &[204]).await?;
        }
        Ok(())
    }

    /// Places all orders; some are cancelled soon after.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn place_all(&self) -> Result<()> {
        self.place_some(0..self.script.sagas).await
    }

    /// Places some of the orders, by their numbers in the script.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn place_some(&self, orders: Range<u64>) -> Result<()> {
        let mut clients = JoinSet::new();
        for first in orders.clone().take(CLIENTS) {
            let (driver, end) = (self.clone(), orders.end);
            clients.spawn(async move {
                for n in (first..end).step_by(CLIENTS) {
                    driver.place(driver.script.placement(n)?).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        Ok(())
    }

    async fn place(&self, placement: Placement) -> Result<()> {
        let Placement { order, customer, account, lines, destination, cancelled_after } = placement;
        let body = json!({
            "order": order, "customer": customer, "account": account, "lines": lines,
            "destination": destination,
        });
        self.ask("order", "POST", "/orders", Some(body), &[202]).await?;
        if let Some(after) = cancelled_after {
            // The customer thinks.
            tokio::time::sleep(after).await;
            let path = format!("/orders/{order}/cancel");
            self.ask("order", "POST", &path, None, &[202, 409]).await?;
        }
        Ok(())
    }

    /// Asks the instances in turn until one gives an answer that is wanted. Every request here may be
    /// repeated: the customer chose the order's id, and the other requests set a value.
    async fn ask(
        &self,
        service: &'static str,
        method: &str,
        path: &str,
        body: Option<Value>,
        wanted: &[u16],
    ) -> Result<http::Answer> {
        let deadline = Instant::now() + PATIENCE;
        for turn in 0.. {
            let address = self.address(service, turn)?;
            let last = http::send(address, method, path, body.as_ref()).await;
            match last {
                Ok(answer) if wanted.contains(&answer.status) => return Ok(answer),
                Ok(answer) if answer.status != 503 => bail!("{method} {path}: {answer:?}"),
                other if Instant::now() >= deadline => bail!("{method} {path}: {other:?}"),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        bail!("unreachable")
    }

    fn address(&self, service: &'static str, turn: usize) -> Result<SocketAddr> {
        let instances = self.addresses.of(service);
        ensure!(!instances.is_empty(), "no {service}");
        Ok(instances[turn % instances.len()])
    }

    /// What accounts and articles say.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn books(&self) -> Result<Books> {
        let mut books = Books::default();
        for (account, _) in self.script.accounts()? {
            let account = self.read("payment", &format!("/accounts/{account}")).await?;
            books.captured += number(&account["captured"]["minor"])?;
            books.refunded += number(&account["refunded"]["minor"])?;
        }
        for (sku, put) in self.script.stock()? {
            let stock = self.read("inventory", &format!("/stock/{sku}")).await?;
            // An article of which there was never any has no history.
            let count = |name: &str| if put == 0 { Ok(0) } else { number(&stock[name]) };
            books.stock.push((put, count("available")?, count("reserved")?, count("shipped")?));
        }
        Ok(books)
    }

    async fn read(&self, service: &'static str, path: &str) -> Result<Value> {
        let answer = self.ask(service, "GET", path, None, &[200, 404]).await?;
        Ok(serde_json::from_str(&answer.body)?)
    }
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no number"))
}
