//! The transactional producer of the in-memory log, step by step where a simulation wants it so.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{MemoryLog, ProducerEpoch, Refused};
use crate::{
    id::Lane,
    log::{Doubt, NewRecord, Publisher},
};

/// A request of a publisher to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishStep {
    /// The partitions are added to the transaction.
    Begin,
    /// The record with this index is written.
    Produce(usize),
    /// The transaction is to be committed.
    Commit,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepFate {
    /// It is done and answered.
    Proceed,
    /// It never arrives. (Or arrives later: see [`MemoryLog::end`].)
    LoseRequest,
    /// It is done, but the answer is lost.
    LoseReply,
}

/// Stands between publishers and the broker: a simulation can let others run between the steps of a
/// transaction, and lose requests and answers.
#[async_trait]
pub trait PublishHook: Send + Sync + fmt::Debug + 'static {
    /// Called before each step.
    async fn before(&self, producer: &ProducerEpoch, step: PublishStep) -> StepFate;

    /// What publishers ask for as their [`rest`](Publisher::rest).
    fn rest(&self) -> Duration {
        Duration::ZERO
    }
}

#[derive(Debug)]
pub(super) struct MemoryPublisher {
    pub(super) log: MemoryLog,
    pub(super) producer: ProducerEpoch,
    pub(super) topic: Arc<str>,
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(
        self: Box<Self>,
        records: Vec<NewRecord>,
    ) -> Result<Box<dyn Publisher>, Doubt> {
        // A publisher that never waits must still let others run.
        tokio::task::consume_budget().await;
        if records.is_empty() {
            return Ok(self);
        }
        match self.log.publish_hook() {
            None => self.log.publish_whole(&self.producer, &self.topic, records).map_err(doubt)?,
            Some(hook) => self.publish_by_steps(&*hook, records).await?,
        }
        Ok(self)
    }

    fn rest(&self) -> Duration {
        self.log.publish_hook().map_or(Duration::ZERO, |hook| hook.rest())
    }

    async fn abort_hanging(self: Box<Self>, lanes: &[Lane]) -> Result<(), Doubt> {
        tokio::task::consume_budget().await;
        self.log.begin(&self.producer, &self.topic, lanes).map_err(doubt)?;
        self.log.end(&self.producer, false).map_err(doubt)
    }
}

impl MemoryPublisher {
    async fn publish_by_steps(
        &self,
        hook: &dyn PublishHook,
        records: Vec<NewRecord>,
    ) -> Result<(), Doubt> {
        let lanes: Vec<_> = records.iter().map(|record| record.lane).collect();
        let begin = || self.log.begin(&self.producer, &self.topic, &lanes);
        self.step(hook, PublishStep::Begin, begin).await?;
        for (index, record) in records.into_iter().enumerate() {
            let produce = || self.log.produce(&self.producer, &self.topic, record).map(drop);
            self.step(hook, PublishStep::Produce(index), produce).await?;
        }
        self.step(hook, PublishStep::Commit, || self.log.end(&self.producer, true)).await
    }

    async fn step(
        &self,
        hook: &dyn PublishHook,
        step: PublishStep,
        request: impl FnOnce() -> Result<(), Refused> + Send,
    ) -> Result<(), Doubt> {
        let fate = hook.before(&self.producer, step).await;
        if fate != StepFate::LoseRequest {
            request().map_err(doubt)?;
        }
        match fate {
            StepFate::Proceed => Ok(()),
            _ => Err(Doubt { reason: format!("no answer to {step:?}"), fenced: false }),
        }
    }
}

#[allow(clippy::needless_pass_by_value)]
fn doubt(refused: Refused) -> Doubt {
    Doubt { fenced: matches!(refused, Refused::Fenced(_)), reason: refused.to_string() }
}
