//! The Kafka log passes the log's suite on a real broker, and what only it has is tested too.
#![allow(clippy::print_stderr)] // Each run says on which cluster it was.

mod kafka;

use std::sync::Arc;

use async_trait::async_trait;
use kafka::{Cluster, connect};
use quadrille::{
    id::SourceLane,
    log::{EventLog, NewRecord, TopicSpec, kafka::KafkaLog},
    testing::log_conformance::LogUnderTest,
};

struct Under {
    log: KafkaLog,
    cluster: Arc<Cluster>,
}

#[async_trait]
impl LogUnderTest for Under {
    fn log(&self) -> &dyn EventLog {
        &self.log
    }

    async fn delete_records_before(&self, source: &SourceLane, offset: i64) -> bool {
        self.cluster.delete_records_before(source, offset).await;
        true
    }

    async fn produce_raw(&self, topic: &str, record: NewRecord) -> bool {
        self.cluster.produce(topic, vec![record]).await;
        true
    }

    async fn leave_open(&self, id: &str, topic: &str, records: Vec<NewRecord>) -> bool {
        self.cluster.leave_open(id, topic, records).await;
        true
    }

    async fn make_compacted(&self, spec: &TopicSpec) -> bool {
        self.cluster.make_topic(spec, &[("cleanup.policy", "compact")]).await;
        true
    }
}

mod conformance {
    use super::*;

    async fn fresh() -> Under {
        let cluster = connect().await;
        Under { log: cluster.log(), cluster }
    }

    quadrille::log_conformance!(fresh);
}
