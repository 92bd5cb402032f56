//! The payment gateway as a process of its own, and what it is told and asked over HTTP.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use gateway::{Amount, Totals, Trouble};
use serde_json::{Value, json};

use crate::{http, processes::free_address, wait};

/// A running gateway. It is killed when this is dropped.
#[derive(Debug)]
pub struct GatewayProcess {
    address: SocketAddr,
    process: Child,
}

impl GatewayProcess {
    /// Starts it with this program, `stack-service`, and waits until it listens.
    ///
    /// # Errors
    /// When it does not listen within [`wait::LIMIT`].
    pub async fn start(program: &Path) -> Result<Self> {
        let address = free_address()?;
        let process = Command::new(program)
            .env("STACK_SERVICE", "gateway")
            .env("GATEWAY_ADDRESS", address.to_string())
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the gateway")?;
        let gateway = Self { address, process };
        wait::until("the gateway to listen", wait::LIMIT, async || {
            let answer = http::send(address, "GET", "/livez", None).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200))
        })
        .await?;
        Ok(gateway)
    }

    /// Where it is, as services are told.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it misbehaves from now on.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn trouble(&self, trouble: &Trouble) -> Result<()> {
        self.put("/trouble", &json!(trouble)).await
    }

    /// Opens an account, or sets what it has.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn fund(&self, account: &str, funds: &Amount) -> Result<()> {
        self.put(&format!("/accounts/{account}"), &json!(funds)).await
    }

    async fn put(&self, path: &str, body: &Value) -> Result<()> {
        let answer = http::send(self.address, "PUT", path, Some(body)).await?;
        ensure!(answer.status == 204, "PUT {path}: {answer:?}");
        Ok(())
    }

    /// What it has done.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn totals(&self) -> Result<Totals> {
        let answer = http::send(self.address, "GET", "/totals", None).await?;
        serde_json::from_str(&answer.body).with_context(|| format!("no totals: {answer:?}"))
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
