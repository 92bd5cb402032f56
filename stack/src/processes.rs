//! The processes, each service's database, and what is done to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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

use crate::{http, place::Place, wait};

/// Packages, programs and names in one.
pub const SERVICES: [&str; 4] = ["order", "payment", "inventory", "shipping"];
const LANES: u32 = 4;
/// A drain takes far less; a process that needs longer does not drain.
const PEACE_LIMIT: Duration = Duration::from_secs(35);

/// One process of a service.
#[derive(Debug)]
struct Instance {
    address: SocketAddr,
    process: Child,
    /// Whether its end was told.
    end_told: bool,
}

/// A service and the number of one of its processes, from 1.
pub type Key = (&'static str, u32);

/// Where each process listens.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Mutex<BTreeMap<Key, SocketAddr>>>);

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of all processes of a service, dead ones included.
    #[must_use]
    pub fn of(&self, service: &str) -> Vec<SocketAddr> {
        self.lock().iter().filter(|((name, _), _)| *name == service).map(|(_, a)| *a).collect()
    }
}

/// The processes of one test, with a namespace and databases of their own.
#[derive(Debug)]
pub struct Stack {
    /// The first part of every topic, and of the databases' names.
    pub namespace: String,
    /// The broker, as a plain consumer reaches it.
    pub kafka: String,
    postgres: String,
    program: PathBuf,
    /// Services that reach the broker by another address.
    ways: BTreeMap<&'static str, String>,
    /// Services that reach their database by another address.
    database_ways: BTreeMap<&'static str, String>,
    /// What else services are told, as variables of their environment.
    told: BTreeMap<&'static str, Vec<(&'static str, String)>>,
    logs: PathBuf,
    instances: BTreeMap<Key, Instance>,
    /// Shared with the driver.
    addresses: Addresses,
}

impl Stack {
    /// Databases and a role; no process yet.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn prepare(place: Place) -> Result<Self> {
        let stack = Self::new(place)?;
        let role = stack.role();
        stack.administer(&[format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")]).await?;
        for service in SERVICES {
            stack.administer(&[format!("CREATE DATABASE {}", stack.database(service))]).await?;
        }
        Ok(stack)
    }

    /// Where nobody answers.
    ///
    /// # Errors
    /// When there is no free port, or no room for the processes' output.
    pub fn on_nothing(program: impl Into<PathBuf>) -> Result<Self> {
        let nobody = free_address()?;
        let (kafka, postgres) = (nobody.to_string(), format!("postgres://nobody@{nobody}/nothing"));
        Self::new(Place { kafka, postgres, program: program.into() })
    }

    fn new(Place { kafka, postgres, program }: Place) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("stack_{}_{n}", std::process::id());
        let logs = std::env::temp_dir().join(&namespace);
        std::fs::create_dir_all(&logs)?;
        let (ways, database_ways, told, instances, addresses) = Default::default();
        Ok(Self {
            namespace,
            kafka,
            postgres,
            program,
            ways,
            database_ways,
            told,
            logs,
            instances,
            addresses,
        })
    }

    fn role(&self) -> String {
        format!("{}_role", self.namespace)
    }

    /// The name of a service's database.
    #[must_use]
    pub fn database(&self, service: &str) -> String {
        format!("{}_{service}", self.namespace)
    }

    /// The topic of a service.
    #[must_use]
    pub fn topic(&self, service: &str) -> String {
        format!("{}.{service}.events", self.namespace)
    }

    /// The owner's address of a service's database.
    #[must_use]
    pub fn url(&self, service: &str) -> String {
        self.url_of(&self.database(service))
    }

    /// The owner's address of a database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let base = self.postgres.split('?').next().unwrap_or_default();
        let place = base.rsplit_once('/').map_or(base, |(place, _)| place);
        format!("{place}/{database}")
    }

    fn role_url(&self, service: &str) -> String {
        let url = self.url(service);
        let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
        let by = self.database_ways.get(service);
        let by = by.map(|address| format!("{address}/{}", self.database(service)));
        let host = by.as_deref().unwrap_or(host);
        format!("postgres://{role}:{role}@{host}", role = self.role())
    }

    /// All owners' addresses, by service.
    #[must_use]
    pub fn databases(&self) -> BTreeMap<&'static str, String> {
        SERVICES.iter().map(|service| (*service, self.url(service))).collect()
    }

    /// Where the processes listen, now and later.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    /// Processes of this service that are started from now on reach the broker by this `host:port`.
    pub fn reach_kafka_by(&mut self, service: &'static str, address: &str) {
        self.ways.insert(service, address.to_owned());
    }

    /// The `host:port` of PostgreSQL.
    #[must_use]
    pub fn postgres_address(&self) -> String {
        let base = self.postgres.rsplit_once('@').map_or(&*self.postgres, |(_, rest)| rest);
        base.split('/').next().unwrap_or_default().to_owned()
    }

    /// Processes of this service that are started from now on reach their database by this `host:port`.
    pub fn reach_database_by(&mut self, service: &'static str, address: &str) {
        self.database_ways.insert(service, address.to_owned());
    }

    /// Processes of this service that are started from now on have this variable.
    pub fn tell(&mut self, service: &'static str, variable: &'static str, value: &str) {
        self.told.entry(service).or_default().push((variable, value.to_owned()));
    }

    /// Keeps the processes' output in this folder. Before any is started.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn keep_output_in(&mut self, folder: PathBuf) -> Result<()> {
        std::fs::create_dir_all(&folder)?;
        std::fs::remove_dir_all(std::mem::replace(&mut self.logs, folder))?;
        Ok(())
    }

    /// Processes that have ended although nobody killed them, with their status; each is told once.
    ///
    /// # Errors
    /// What the system says.
    pub fn ended_by_themselves(&mut self) -> Result<Vec<String>> {
        let mut ended = vec![];
        for ((service, number), instance) in &mut self.instances {
            if !instance.end_told
                && let Some(status) = instance.process.try_wait()?
            {
                instance.end_told = true;
                ended.push(format!("{service}-{number} ended: {status}"));
            }
        }
        Ok(ended)
    }

    /// Starts a process, at its old address when it has run before. Does not wait.
    ///
    /// # Errors
    /// When it still runs, or cannot be started.
    pub fn start(&mut self, service: &'static str, number: u32) -> Result<SocketAddr> {
        let key = (service, number);
        let address = match self.instances.get_mut(&key) {
            Some(instance) => {
                ensure!(instance.process.try_wait()?.is_some(), "{service}-{number} still runs");
                instance.address
            }
            None => free_address()?,
        };
        let name = format!("{service}-{number}");
        let log = File::options().create(true).append(true).open(self.log(&name))?;
        let told = self.told.get(service).into_iter().flatten();
        let process = Command::new(&self.program)
            .env("STACK_SERVICE", service)
            .env("QUADRILLE_NAMESPACE", &self.namespace)
            .env("QUADRILLE_KAFKA_BROKERS", self.ways.get(service).unwrap_or(&self.kafka))
            .env("QUADRILLE_KAFKA_PLAINTEXT_OK", "yes")
            .env("QUADRILLE_DATABASE_URL", self.role_url(service))
            .env("QUADRILLE_DATABASE_OWNER_URL", self.url(service))
            .env("QUADRILLE_HTTP_ADDRESS", address.to_string())
            .env("QUADRILLE_LANES", LANES.to_string())
            .env("QUADRILLE_INSTANCE", &name)
            .envs(told.map(|(variable, value)| (variable, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start a service")?;
        self.instances.insert(key, Instance { address, process, end_told: false });
        self.addresses.lock().insert(key, address);
        Ok(address)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Waits until every process says on `/readyz` that it can do its work.
    ///
    /// # Errors
    /// When one does not within [`wait::LIMIT`], with what it said last.
    pub async fn until_ready(&self) -> Result<()> {
        for service in SERVICES {
            self.until_ready_of(service).await?;
        }
        Ok(())
    }

    /// Waits until every process of a service says so.
    ///
    /// # Errors
    /// As [`until_ready`](Self::until_ready).
    pub async fn until_ready_of(&self, service: &str) -> Result<()> {
        for ((service, number), instance) in self.instances.iter().filter(|(k, _)| k.0 == service) {
            let mut last = String::new();
            let ready = wait::until("a process to be ready", wait::LIMIT, async || {
                let answer = http::send(instance.address, "GET", "/readyz", None).await;
                let ready = answer.as_ref().is_ok_and(|answer| answer.status == 200);
                last = format!("{answer:?}");
                Ok(ready)
            })
            .await;
            ready.with_context(|| format!("{service}-{number} said {last}"))?;
        }
        Ok(())
    }

    fn instance(&mut self, service: &'static str, number: u32) -> Result<&mut Instance> {
        self.instances.get_mut(&(service, number)).context("no such process")
    }

    /// Sends a signal to a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn signal(&mut self, service: &'static str, number: u32, signal: Signal) -> Result<()> {
        let id = self.instance(service, number)?.process.id();
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    /// SIGKILL, at whatever moment this is.
    ///
    /// # Errors
    /// When there is no such process, or it has ended before.
    pub fn kill(&mut self, service: &'static str, number: u32) -> Result<()> {
        let process = &mut self.instance(service, number)?.process;
        process.kill()?;
        let status = process.wait()?;
        ensure!(!status.success(), "{service}-{number} had ended before: {status}");
        Ok(())
    }

    /// SIGTERM: it must drain and end with 0.
    ///
    /// # Errors
    /// When it does not.
    pub async fn end_in_peace(&mut self, service: &'static str, number: u32) -> Result<()> {
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

    /// Closes all other connections to these databases: those of dead processes are noticed late.
    pub(crate) async fn disconnect(&self, databases: &[&str]) -> Result<()> {
        let end = |name: &&str| {
            format!(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
            )
        };
        self.administer(&databases.iter().map(end).collect::<Vec<_>>()).await
    }

    pub(crate) async fn administer(&self, statements: &[String]) -> Result<()> {
        let mut admin = PgConnection::connect(&self.postgres).await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut admin).await?;
        }
        Ok(())
    }

    /// Ends all processes, and removes topics, databases and output. What a failed test leaves stays, to
    /// be looked at.
    ///
    /// # Errors
    /// What the servers say.
    pub async fn remove(mut self) -> Result<()> {
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
    ///
    /// # Errors
    /// When the output cannot be removed.
    pub fn remove_output(mut self) -> Result<()> {
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

/// Where a process of this test may listen.
pub(crate) fn free_address() -> Result<SocketAddr> {
    /// Given out before. The system may give a port again while the process that is to listen there is only starting.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.port()) {
            return Ok(address);
        }
    }
}
