//! One of the other three services as a process of its own: this program once more.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use inventory::Inventory;
use payment::Payment;
use quadrille::{Service, engine::Running};
use shipping::Shipping;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{Homes, Market, Place, start_at};

const READY_LIMIT: Duration = Duration::from_secs(60);
const DRAIN_WITHIN: Duration = Duration::from_secs(30);
const READY: &str = "ready";

const NAMESPACE: &str = "QUADRILLE_BENCH_NAMESPACE";
const KAFKA: &str = "QUADRILLE_BENCH_KAFKA";
const DATABASE: &str = "QUADRILLE_BENCH_DATABASE";
const SKUS: &str = "QUADRILLE_BENCH_SKUS";

/// The processes of payment, inventory and shipping.
pub(crate) struct Children(Vec<Child>);

impl Children {
    /// Starts them and waits until they are ready.
    pub(super) async fn start(homes: &Homes, market: Market) -> Result<Self> {
        let mut children = vec![];
        for service in [Payment::NAME, Inventory::NAME, Shipping::NAME] {
            let mut child = Command::new(std::env::current_exe()?)
                .args(["service", service])
                .env(NAMESPACE, &homes.namespace)
                .env(KAFKA, &homes.kafka)
                .env(DATABASE, homes.url(service))
                .env(SKUS, market.skus.to_string())
                // A child ends when nobody holds the other end any more.
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("cannot start {service}"))?;
            let output = child.stdout.take().context("no output")?;
            let mut lines = BufReader::new(output).lines();
            match timeout(READY_LIMIT, lines.next_line()).await {
                Ok(Ok(Some(line))) if line == READY => children.push(child),
                other => bail!("{service} is not ready: {other:?}"),
            }
        }
        Ok(Self(children))
    }

    /// Lets them drain. Whether all did, in time.
    pub(super) async fn end(mut self) -> Result<bool> {
        for child in &mut self.0 {
            drop(child.stdin.take());
        }
        let mut drained = true;
        for child in &mut self.0 {
            drained &= timeout(DRAIN_WITHIN * 2, child.wait()).await??.success();
        }
        Ok(drained)
    }
}

/// Is one service, until its standard input ends.
///
/// # Errors
/// An unknown name, or servers that do not answer.
pub async fn child(name: &str) -> Result<()> {
    let variable = |name| std::env::var(name).with_context(|| format!("{name} is not set"));
    let (namespace, kafka, url) = (variable(NAMESPACE)?, variable(KAFKA)?, variable(DATABASE)?);
    let market = Market { skus: variable(SKUS)?.parse()? };
    let place = Place { namespace: &namespace, kafka: &kafka, url: &url };
    match name {
        Payment::NAME => {
            let running = start_at(Payment::default(), place, |_| {}, None).await?;
            market.fund(&running.client()).await?;
            serve(running).await
        }
        Inventory::NAME => {
            let running = start_at(Inventory, place, |_| {}, None).await?;
            market.fill(&running.client()).await?;
            serve(running).await
        }
        Shipping::NAME => serve(start_at(Shipping::default(), place, |_| {}, None).await?).await,
        other => bail!("{other:?} is none of payment, inventory and shipping"),
    }
}

#[allow(clippy::print_stdout, reason = "the parent reads it")]
async fn serve<S: Service>(running: Running<S>) -> Result<()> {
    println!("{READY}");
    let mut rest = vec![];
    tokio::io::stdin().read_to_end(&mut rest).await?;
    ensure!(running.shutdown(DRAIN_WITHIN).await, "{} did not drain", S::NAME);
    Ok(())
}
