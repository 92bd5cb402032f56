//! A member of a consumer group of the in-memory log.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::MemoryLog;
use crate::{
    id::SourceLane,
    log::{Delivery, LogError, Subscription},
};

#[derive(Debug)]
pub(super) struct MemorySubscription {
    pub(super) log: MemoryLog,
    pub(super) group: Arc<str>,
    pub(super) member: u64,
    pub(super) wake: Arc<Notify>,
}

impl MemorySubscription {
    fn fenced(&self) -> LogError {
        LogError::Fenced(self.group.to_string())
    }

    fn read_from(&self, source: &SourceLane, at: Option<i64>) -> Result<(), LogError> {
        let mut state = self.log.lock();
        let member = state.member(&self.group, self.member).ok_or_else(|| self.fenced())?;
        member.read_from(source, at);
        Ok(())
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self, max: usize) -> Result<Delivery, LogError> {
        // A reader that never waits must still let others run.
        tokio::task::consume_budget().await;
        loop {
            let delivery = self.log.lock().poll(&self.group, self.member, max);
            match delivery {
                Some(Some(delivery)) => return Ok(delivery),
                Some(None) => {}
                None => return Err(self.fenced()),
            }
            // Whoever changes something after the look above leaves a permit: no wake-up is lost.
            self.wake.notified().await;
        }
    }

    async fn seek(&mut self, source: &SourceLane, offset: i64) -> Result<(), LogError> {
        self.read_from(source, Some(offset))
    }

    async fn pause(&mut self, source: &SourceLane) -> Result<(), LogError> {
        self.read_from(source, None)
    }

    async fn note_progress(
        &mut self,
        source: &SourceLane,
        next_offset: i64,
    ) -> Result<(), LogError> {
        self.log.lock().note_progress(&self.group, self.member, source, next_offset);
        Ok(())
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.log.lock().leave(&self.group, self.member);
    }
}
