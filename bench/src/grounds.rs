//! Databases and topics of the cases' own, on the servers that the environment names.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use quadrille::{
    log::kafka::{KafkaConfig, KafkaLog},
    store::postgres::PostgresStore,
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;

/// Addresses, and names that nobody else uses.
#[derive(Debug)]
pub(crate) struct Grounds {
    postgres: String,
    pub(crate) kafka: String,
    next: AtomicU32,
    /// A database with the store's tables, to be copied.
    template: OnceCell<String>,
}

/// A database; it stays until it is dropped by name.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

impl Grounds {
    pub(crate) fn from_environment() -> Result<Self> {
        let variable = |name| {
            std::env::var(name)
                .with_context(|| format!("{name} is not set: start this with `cargo xtask bench`"))
        };
        Ok(Self {
            postgres: variable("QUADRILLE_TEST_POSTGRES")?,
            kafka: variable("QUADRILLE_TEST_KAFKA")?,
            next: AtomicU32::new(0),
            template: OnceCell::new(),
        })
    }

    /// A name that is free on both servers.
    pub(crate) fn name(&self) -> String {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        format!("bench_{}_{n}", std::process::id())
    }

    /// A log on the cluster.
    pub(crate) fn log(&self) -> Result<KafkaLog> {
        Ok(KafkaLog::new(kafka_config(&self.kafka))?)
    }

    /// A new database with the store's tables.
    pub(crate) async fn database(&self) -> Result<Database> {
        let template = self.template.get_or_try_init(|| self.make_template()).await?;
        let name = self.name();
        self.administer(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        Ok(Database { url: self.url(&name), name })
    }

    async fn make_template(&self) -> Result<String> {
        let name = self.name();
        self.administer(&format!("CREATE DATABASE {name}")).await?;
        PostgresStore::migrate(&self.url(&name)).await?;
        Ok(name)
    }

    pub(crate) async fn drop_database(&self, database: &Database) -> Result<()> {
        self.administer(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name)).await
    }

    pub(crate) async fn drop_topics(&self, topics: &[String]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create()?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        admin.delete_topics(&topics, &AdminOptions::new()).await?;
        Ok(())
    }

    /// What is left when all cases have ended.
    pub(crate) async fn remove(&self) -> Result<()> {
        let Some(name) = self.template.get() else { return Ok(()) };
        self.administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
    }

    async fn administer(&self, statement: &str) -> Result<()> {
        let mut admin = PgConnection::connect(&self.postgres).await.context("no PostgreSQL")?;
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut admin)
            .await
            .with_context(|| statement.to_owned())?;
        admin.close().await?;
        Ok(())
    }

    fn url(&self, name: &str) -> String {
        let base = self.postgres.split('?').next().unwrap_or_default();
        let place = base.rsplit_once('/').map_or(base, |(place, _)| place);
        format!("{place}/{name}")
    }
}

pub(crate) fn kafka_config(servers: &str) -> KafkaConfig {
    let mut config = KafkaConfig::new(servers);
    // Whoever gives a cluster for figures knows where it is.
    config.plaintext_off_loopback = true;
    crate::stage::tune_kafka(&mut config);
    config
}
