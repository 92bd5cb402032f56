//! The log on a Kafka cluster, through librdkafka.
//!
//! No call into librdkafka that waits runs on an async thread: each publisher and each subscription
//! has a thread of its own, and short questions go to tokio's blocking threads.

mod config;
mod context;
mod convert;
mod error;
mod find;
mod publisher;
mod reader;
mod subscription;
mod tail;
mod topics;

use std::sync::Arc;

use async_trait::async_trait;
pub use config::{ConfigError, KafkaConfig, KafkaLimits, Security, TopicPolicy};
use reader::Readers;
use topics::Topics;

use super::{Backwards, EventLog, Found, LogError, Publisher, Subscription, TopicSpec};
use crate::id::{LaneSeq, SourceLane};

/// The log on a Kafka cluster. Cheap to clone.
///
/// Needs brokers of version 2.8 or later: topics must have ids (P6).
#[derive(Clone, Debug)]
pub struct KafkaLog {
    config: Arc<KafkaConfig>,
    readers: Arc<Readers>,
    topics: Arc<Topics>,
}

impl KafkaLog {
    /// A log with this configuration. Connects when it is first used: a cluster that is not there yet is
    /// no error here.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, at once.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let config = Arc::new(config);
        let readers = Arc::new(Readers::new(Arc::clone(&config)));
        let topics = Arc::new(Topics::new(Arc::clone(&config), Arc::clone(&readers)));
        Ok(Self { config, readers, topics })
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.topics.ensure(spec).await
    }

    async fn lanes_of(&self, topic: &str) -> Result<u32, LogError> {
        self.topics.lanes_of(topic).await
    }

    async fn publisher(
        &self,
        transactional_id: &str,
        topic: &str,
    ) -> Result<Box<dyn Publisher>, LogError> {
        let record_bytes_max = self.topics.record_bytes_max(topic).await?;
        publisher::open(&self.config, transactional_id, topic, record_bytes_max).await
    }

    async fn read_back(&self, source: &SourceLane, count: usize) -> Result<Backwards, LogError> {
        let source = source.clone();
        self.readers.with(move |reader| tail::read_back(reader, &source, count)).await
    }

    async fn find(&self, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError> {
        let source = source.clone();
        self.readers.with(move |reader| find::find(reader, &source, seq)).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Box<dyn Subscription>, LogError> {
        subscription::open(&self.config, group, topics).await
    }
}
