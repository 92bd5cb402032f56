//! A log whose publishers publish nothing: what is measured then ends with the append.

use std::sync::Arc;

use async_trait::async_trait;
use quadrille::{
    id::{Lane, LaneSeq, SourceLane},
    log::{
        Backwards, Doubt, EventLog, Found, LogError, NewRecord, Publisher, Subscription, TopicSpec,
    },
};

#[derive(Debug)]
pub(crate) struct Silent<L>(pub(crate) L);

#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Publisher for Nothing {
    async fn publish(self: Box<Self>, _: Vec<NewRecord>) -> Result<Box<dyn Publisher>, Doubt> {
        Ok(self)
    }

    async fn abort_hanging(self: Box<Self>, _: &[Lane]) -> Result<(), Doubt> {
        Ok(())
    }
}

#[async_trait]
impl<L: EventLog> EventLog for Silent<L> {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.0.ensure_topic(spec).await
    }

    async fn lanes_of(&self, topic: &str) -> Result<u32, LogError> {
        self.0.lanes_of(topic).await
    }

    async fn publisher(&self, _: &str, _: &str) -> Result<Box<dyn Publisher>, LogError> {
        Ok(Box::new(Nothing))
    }

    async fn read_back(&self, source: &SourceLane, count: usize) -> Result<Backwards, LogError> {
        self.0.read_back(source, count).await
    }

    async fn find(&self, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError> {
        self.0.find(source, seq).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Box<dyn Subscription>, LogError> {
        self.0.subscribe(group, topics).await
    }
}
