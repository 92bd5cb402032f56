//! The log as an instance reaches it.

use std::sync::{Arc, atomic::AtomicBool};

use async_trait::async_trait;

use super::{node::Node, publisher::SimPublisher, subscription::SimSubscription};
use crate::{
    id::{LaneSeq, SourceLane},
    log::{Backwards, EventLog, Found, LogError, Publisher, Subscription, TopicSpec},
};

/// One instance's connection to the log.
#[derive(Debug)]
pub(super) struct SimLog {
    node: Node,
}

impl SimLog {
    pub(super) fn new(node: Node) -> Self {
        Self { node }
    }
}

#[async_trait]
impl EventLog for SimLog {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.node.write("ensure_topic", self.node.core().log.ensure_topic(spec)).await
    }

    async fn lanes_of(&self, topic: &str) -> Result<u32, LogError> {
        self.node.read("lanes_of", self.node.core().log.lanes_of(topic)).await
    }

    async fn publisher(
        &self,
        transactional_id: &str,
        topic: &str,
    ) -> Result<Box<dyn Publisher>, LogError> {
        let core = self.node.core();
        let open = async { Ok::<_, LogError>(core.open_producer(transactional_id)) };
        let producer = self.node.write("publisher", open).await?;
        core.tell(self.node.place(), || format!("relay has epoch {}", producer.epoch));
        Ok(Box::new(SimPublisher {
            node: self.node.clone(),
            breaks: core.log_breaks(topic),
            topic: topic.into(),
            producer,
            ended: Arc::new(AtomicBool::new(true)),
        }))
    }

    async fn read_back(&self, source: &SourceLane, count: usize) -> Result<Backwards, LogError> {
        self.node.read("read_back", self.node.core().log.read_back(source, count)).await
    }

    async fn find(&self, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError> {
        self.node.read("find", self.node.core().log.find(source, seq)).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Box<dyn Subscription>, LogError> {
        let join = async { Ok::<_, LogError>(self.node.core().log.subscribe_as(group, topics)) };
        let (member, inner) = self.node.write("subscribe", join).await?;
        self.node.members().push((group.into(), member));
        Ok(Box::new(SimSubscription::new(self.node.clone(), inner)))
    }
}
