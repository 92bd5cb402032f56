//! Who has the accounts: a payment gateway on loopback, over real HTTP, or the payment service itself.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use gateway::{Amount, Office, Serving, Totals, Trouble};
use payment::{Gateway, Payment};
use quadrille::{effect::Schedule, engine::RetryPolicy};

use crate::script::Script;

/// How long payment waits for an answer. Loopback is near.
const CALL_TIMEOUT: Duration = Duration::from_millis(250);
/// The pauses between tries.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_LAST: Duration = Duration::from_millis(250);
/// Nobody in the demo decides about an effect that was given up.
const TRIES_MAX: u32 = 10_000;

/// A payment gateway, while it is there.
pub(crate) struct Till {
    office: Office,
    serving: Serving,
}

impl Till {
    /// Opens a gateway whose books are in `folder`; port 0 takes a free one.
    pub(crate) async fn open(folder: &Path, port: u16) -> Result<Self> {
        let journal = folder.join("gateway.journal");
        let reading = tokio::task::spawn_blocking(move || Office::open(&journal));
        let office = reading.await?.context("cannot open the gateway's journal")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let serving = gateway::serve(office.clone(), address)
            .await
            .with_context(|| format!("the gateway cannot listen on port {port}; see --port"))?;
        Ok(Self { office, serving })
    }

    pub(crate) fn url(&self) -> String {
        self.serving.url()
    }

    /// A payment service that charges through it.
    pub(crate) fn payment(&self) -> Result<Payment> {
        let mut tries = RetryPolicy::default();
        (tries.delay_first, tries.delay_max) = (PAUSE_FIRST, PAUSE_LAST);
        tries.attempts_max = TRIES_MAX;
        let gateway: Gateway = self.url().parse()?;
        Ok(Payment::through(gateway.timeout(CALL_TIMEOUT).schedule(Schedule::Backoff(tries))))
    }

    /// Fills the accounts that are not open yet: after a crash, the others have their history.
    pub(crate) async fn fill(&self, script: &Script) -> Result<()> {
        for (account, funds) in script.accounts()? {
            if self.office.account(account.as_str()).is_none() {
                let (minor, currency) = (funds.minor(), funds.currency().to_string());
                self.office.set_funds(account.as_str(), Amount { minor, currency }).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn trouble(&self, trouble: Trouble) -> Result<()> {
        self.office.set_trouble(trouble).map_err(|error| anyhow!(error))
    }

    pub(crate) fn totals(&self) -> Totals {
        self.office.totals()
    }
}
