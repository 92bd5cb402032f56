//! The processes, each service's database, and what is done to them.

use std::{
    collections::BTreeMap,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::{ClientConfig, admin::AdminClient, client::DefaultClientContext};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{http, wait};

pub(crate) const SERVICES: [&str; 4] = ["order", "payment", "inventory", "shipping"];
const LANES: u32 = 4;
/// A drain takes far less; a process that needs longer does not drain.
const PEACE_LIMIT: Duration = Duration::from_secs(35);

/// One process of a service.
struct Instance {
    address: SocketAddr,
    process: Child,
}

type Key = (&'static str, u32);

/// The processes of one test, with a namespace and databases of their own.
pub(crate) struct Stack {
    pub(crate) namespace: String,
    pub(crate) kafka: String,
    postgres: String,
    logs: PathBuf,
    instances: BTreeMap<Key, Instance>,
    /// Where each process listens; shared with the driver.
    addresses: std::sync::Arc<Mutex<BTreeMap<Key, SocketAddr>>>,
}

impl Stack {
    /// Databases and a role; no process yet.
    pub(crate) async fn prepare() -> Result<Self> {
        let variable = |name| {
            std::env::var(name)
                .with_context(|| format!("{name} is not set: run this with `cargo xtask test`"))
        };
        let stack =
            Self::new(variable("QUADRILLE_TEST_KAFKA")?, variable("QUADRILLE_TEST_POSTGRES")?)?;
        let role = stack.role();
        stack.administer(&[format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")]).await?;
        for service in SERVICES {
            stack.administer(&[format!("CREATE DATABASE {}", stack.database(service))]).await?;
        }
        Ok(stack)
    }

    /// Where nobody answers.
    pub(crate) fn on_nothing() -> Result<Self> {
        let nobody = free_address()?;
        Self::new(nobody.to_string(), format!("postgres://nobody@{nobody}/nothing"))
    }

    fn new(kafka: String, postgres: String) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("stack_{}_{n}", std::process::id());
        let logs = std::env::temp_dir().join(&namespace);
        std::fs::create_dir_all(&logs)?;
        let (instances, addresses) = Default::default();
        Ok(Self { namespace, kafka, postgres, logs, instances, addresses })
    }

    fn role(&self) -> String {
        format!("{}_role", self.namespace)
    }

    fn database(&self, service: &str) -> String {
        format!("{}_{service}", self.namespace)
    }

    pub(crate) fn topic(&self, service: &str) -> String {
        format!("{}.{service}.events", self.namespace)
    }

    /// The owner's address of a service's database.
    pub(crate) fn url(&self, service: &str) -> String {
        let base = self.postgres.split('?').next().unwrap_or_default();
        let place = base.rsplit_once('/').map_or(base, |(place, _)| place);
        format!("{place}/{}", self.database(service))
    }

    fn role_url(&self, service: &str) -> String {
        let url = self.url(service);
        let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
        format!("postgres://{role}:{role}@{host}", role = self.role())
    }

    /// All owners' addresses, by service.
    pub(crate) fn databases(&self) -> BTreeMap<&'static str, String> {
        SERVICES.iter().map(|service| (*service, self.url(service))).collect()
    }

    pub(crate) fn addresses(&self) -> std::sync::Arc<Mutex<BTreeMap<Key, SocketAddr>>> {
        self.addresses.clone()
    }

    /// Starts a process, at its old address when it has run before. Does not wait.
    pub(crate) fn start(&mut self, service: &'static str, number: u32) -> Result<SocketAddr> {
        let key = (service, number);
        let address = match self.instances.get(&key) {
            Some(instance) => instance.address,
            None => free_address()?,
        };
        let name = format!("{service}-{number}");
        let log = File::options().create(true).append(true).open(self.log(&name))?;
        let process = Command::new(env!("CARGO_BIN_EXE_stack-service"))
            .env("STACK_SERVICE", service)
            .env("QUADRILLE_NAMESPACE", &self.namespace)
            .env("QUADRILLE_KAFKA_BROKERS", &self.kafka)
            .env("QUADRILLE_KAFKA_PLAINTEXT_OK", "yes")
            .env("QUADRILLE_DATABASE_URL", self.role_url(service))
            .env("QUADRILLE_DATABASE_OWNER_URL", self.url(service))
            .env("QUADRILLE_HTTP_ADDRESS", address.to_string())
            .env("QUADRILLE_LANES", LANES.to_string())
            .env("QUADRILLE_INSTANCE", &name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start a service")?;
        self.instances.insert(key, Instance { address, process });
        self.addresses.lock().unwrap().insert(key, address);
        Ok(address)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    pub(crate) async fn until_ready(&self) -> Result<()> {
        for ((service, number), instance) in &self.instances {
            wait::until(&format!("{service}-{number} to be ready"), wait::LIMIT, async || {
                let answer = http::send(instance.address, "GET", "/readyz", None).await;
                Ok(answer.is_ok_and(|answer| answer.status == 200))
            })
            .await?;
        }
        Ok(())
    }

    fn instance(&mut self, service: &'static str, number: u32) -> Result<&mut Instance> {
        self.instances.get_mut(&(service, number)).context("no such process")
    }

    pub(crate) fn signal(
        &mut self,
        service: &'static str,
        number: u32,
        signal: Signal,
    ) -> Result<()> {
        let id = self.instance(service, number)?.process.id();
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    /// SIGKILL, at whatever moment this is.
    pub(crate) fn kill(&mut self, service: &'static str, number: u32) -> Result<()> {
        let process = &mut self.instance(service, number)?.process;
        process.kill()?;
        let status = process.wait()?;
        ensure!(!status.success(), "{service}-{number} had ended before: {status}");
        Ok(())
    }

    /// SIGTERM: it must drain and end with 0.
    pub(crate) async fn end_in_peace(&mut self, service: &'static str, number: u32) -> Result<()> {
        self.signal(service, number, Signal::SIGTERM)?;
        let process = &mut self.instance(service, number)?.process;
        let mut status = None;
        wait::until("the end of a process", PEACE_LIMIT, async || {
            status = process.try_wait()?;
            Ok(status.is_some())
        })
        .await?;
        ensure!(status.is_some_and(|it| it.success()), "{service}-{number} ended: {status:?}");
        Ok(())
    }

    async fn administer(&self, statements: &[String]) -> Result<()> {
        let mut admin = PgConnection::connect(&self.postgres).await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut admin).await?;
        }
        Ok(())
    }

    /// Ends all processes, and removes topics, databases and output. What a failed test leaves stays, to
    /// be looked at.
    pub(crate) async fn remove(mut self) -> Result<()> {
        self.end_all();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create()?;
        let topics = SERVICES.map(|service| self.topic(service));
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        admin.delete_topics(&topics, &rdkafka::admin::AdminOptions::new()).await?;
        for service in SERVICES {
            let database = self.database(service);
            self.administer(&[format!("DROP DATABASE {database} WITH (FORCE)")]).await?;
        }
        self.administer(&[format!("DROP ROLE {}", self.role())]).await?;
        std::fs::remove_dir_all(&self.logs)?;
        Ok(())
    }

    /// As [`remove`](Self::remove), where there were no servers.
    pub(crate) fn remove_output(mut self) -> Result<()> {
        self.end_all();
        Ok(std::fs::remove_dir_all(&self.logs)?)
    }

    fn end_all(&mut self) {
        for instance in self.instances.values_mut() {
            // It may have ended already.
            let _ = instance.process.kill();
            let _ = instance.process.wait();
        }
    }
}

impl Drop for Stack {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        self.end_all();
        if self.logs.exists() {
            eprintln!("the processes' output is in {}", self.logs.display());
        }
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
