//! The four services as processes that export their spans, each with a database of its own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const SERVICES: [&str; 4] = ["order", "payment", "inventory", "shipping"];
/// For what takes seconds on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

struct Instance {
    address: SocketAddr,
    process: Child,
}

pub(crate) struct Shop {
    namespace: String,
    endpoint: String,
    kafka: String,
    postgres: String,
    instances: BTreeMap<&'static str, Instance>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        for instance in self.instances.values_mut() {
            // It may have ended already.
            let _ = instance.process.kill();
            let _ = instance.process.wait();
        }
    }
}

impl Shop {
    /// Starts all four, and waits until they are ready.
    pub(crate) async fn open(endpoint: String) -> Result<Self> {
        let variable = |name| {
            std::env::var(name)
                .with_context(|| format!("{name} is not set: run this with `cargo xtask test`"))
        };
        let namespace = format!("traces_{}", std::process::id());
        let (kafka, postgres) =
            (variable("QUADRILLE_TEST_KAFKA")?, variable("QUADRILLE_TEST_POSTGRES")?);
        let mut shop = Self { namespace, endpoint, kafka, postgres, instances: BTreeMap::new() };
        for service in SERVICES {
            shop.administer(&format!("CREATE DATABASE {}_{service}", shop.namespace)).await?;
            shop.start(service)?;
        }
        for service in SERVICES {
            shop.until(service, "/readyz", |body| body["ready"] == true).await?;
        }
        Ok(shop)
    }

    /// Starts a service, at its old address when it has run before.
    pub(crate) fn start(&mut self, service: &'static str) -> Result<()> {
        let address = match self.instances.get(service) {
            Some(instance) => instance.address,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?,
        };
        let process = Command::new(env!("CARGO_BIN_EXE_stack-service"))
            .env("STACK_SERVICE", service)
            .env("QUADRILLE_NAMESPACE", &self.namespace)
            .env("QUADRILLE_KAFKA_BROKERS", &self.kafka)
            .env("QUADRILLE_KAFKA_PLAINTEXT_OK", "yes")
            .env("QUADRILLE_DATABASE_URL", self.url(service))
            .env("QUADRILLE_HTTP_ADDRESS", address.to_string())
            .env("QUADRILLE_INSTANCE", service)
            .env("QUADRILLE_DATABASE_OWNER_URL", self.url(service))
            .env("QUADRILLE_LOG", "warn")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start a service")?;
        self.instances.insert(service, Instance { address, process });
        Ok(())
    }

    /// The address of a service's database.
    pub(crate) fn url(&self, service: &str) -> String {
        let base = self.postgres.split('?').next().unwrap_or_default();
        let place = base.rsplit_once('/').map_or(base, |(place, _)| place);
        format!("{place}/{}_{service}", self.namespace)
    }

    async fn administer(&self, statement: &str) -> Result<()> {
        let mut admin = PgConnection::connect(&self.postgres).await?;
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut admin).await?;
        Ok(())
    }

    fn instance(&mut self, service: &str) -> Result<&mut Instance> {
        self.instances.get_mut(service).context("no such process")
    }

    /// SIGKILL: what has not been exported is lost.
    pub(crate) fn kill(&mut self, service: &str) -> Result<()> {
        let process = &mut self.instance(service)?.process;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// SIGTERM: drains, and exports the last spans.
    pub(crate) async fn end_in_peace(&mut self, service: &str) -> Result<()> {
        let process = &mut self.instance(service)?.process;
        kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)?;
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = process.try_wait()? {
                ensure!(status.success(), "{service} ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{service} does not end");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(
        &self,
        service: &str,
        path: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.send(service, "GET", path, "", None).await;
            if answer
                .as_ref()
                .is_ok_and(|(_, body)| serde_json::from_str(body).is_ok_and(|body| good(&body)))
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{service}{path} is still {answer:?}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// One request on a connection of its own; status and body.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        header: &str,
        body: Option<Value>,
    ) -> Result<(u16, String)> {
        let address = self.instances.get(service).context("no such process")?.address;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{header}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// Removes the databases; the topics go with the broker.
    pub(crate) async fn remove(self) -> Result<()> {
        for service in SERVICES {
            let statement = format!("DROP DATABASE {}_{service} WITH (FORCE)", self.namespace);
            self.administer(&statement).await?;
        }
        Ok(())
    }
}
