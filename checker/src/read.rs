//! Reading PostgreSQL and Kafka.

pub mod kafka;
pub mod sql;
pub mod transactions;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::evidence::{Evidence, Service, Sighting};

/// Where one service keeps what it has.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its database: a PostgreSQL URL of somebody who may read it.
    pub database: String,
    /// Its topic, as its readers know it.
    pub topic: String,
    /// The topic that is read in its place; the same but for tests.
    pub log: String,
}

impl Source {
    /// A service of this namespace; `{service}` in the database's URL stands for its name.
    #[must_use]
    pub fn of(namespace: &str, service: &str, database: &str) -> Self {
        let topic = format!("{namespace}.{service}.events");
        let database = database.replace("{service}", service);
        Self { name: service.to_owned(), database, log: topic.clone(), topic }
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Kafka's bootstrap servers.
    pub kafka: String,
    /// The first part of the topics' names and of the producers' ids.
    pub namespace: String,
    /// The services.
    pub services: Vec<Source>,
}

/// Reads everything. Ask when all is quiet: the services are read one after the other.
///
/// # Errors
/// What the servers say.
pub async fn gather(sources: &Sources, seen: Option<Vec<Sighting>>) -> Result<Evidence> {
    let mut services = vec![];
    for source in &sources.services {
        let store = sql::read(&source.database)
            .await
            .with_context(|| format!("the database of {}", source.name))?;
        let (kafka, topic) = (sources.kafka.clone(), source.log.clone());
        let log = tokio::task::spawn_blocking(move || kafka::read(&kafka, &topic))
            .await?
            .with_context(|| format!("the topic {}", source.log))?;
        let (name, topic) = (source.name.clone(), source.topic.clone());
        services.push(Service { name, topic, store, log });
    }
    let open = transactions::open(&sources.kafka, &sources.namespace).await.ok();
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Evidence { services, open, seen, now: i64::try_from(since.as_micros())? })
}
