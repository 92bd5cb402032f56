//! A member of a consumer group: a thread that reads, and a handle that takes what was read.
//!
//! The thread alone talks to librdkafka. It shares a [`Desk`](desk::Desk) with the handle: who has which
//! lane, what was read, and what the handle wants.

mod contact;
mod desk;
mod member;
mod membership;
mod standstill;

use std::{
    fmt,
    sync::Arc,
    thread::{self, Thread},
    time::Duration,
};

use async_trait::async_trait;
use contact::Heard;
use desk::{Desk, Want};
use member::Member;
use tokio::{sync::oneshot, time::timeout};

use super::{config::KafkaConfig, error::unavailable_because};
use crate::{
    id::SourceLane,
    log::{Contact, Delivery, LogError, Subscription},
};

/// How long a call waits for news before it looks whether there can be any.
const NEWS_MAX: Duration = Duration::from_secs(1);

struct KafkaSubscription {
    group: String,
    desk: Arc<Desk>,
    heard: Arc<Heard>,
    thread: Thread,
}

impl fmt::Debug for KafkaSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaSubscription of {}", self.group)
    }
}

/// Tells the handle when the thread ends, also by a panic: nothing more will come.
struct Gone(Arc<Desk>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fail("the subscription's thread has ended".into());
    }
}

/// Joins the group. Returns before any lane is assigned.
pub(super) async fn open(
    config: &Arc<KafkaConfig>,
    group: &str,
    topics: &[Arc<str>],
) -> Result<Box<dyn Subscription>, LogError> {
    let desk = Arc::new(Desk::new(&config.limits, topics));
    let heard = Arc::new(Heard::new(config.limits.silence_max, config.limits.deaf_max));
    let (joined, join) = oneshot::channel();
    let (config, name) = (Arc::clone(config), group.to_owned());
    let topics = topics.to_vec();
    let handle = {
        let (desk, heard) = (Arc::clone(&desk), Arc::clone(&heard));
        thread::Builder::new().name("kafka-subscription".into()).spawn(move || {
            let _gone = Gone(Arc::clone(&desk));
            match Member::join(&config, &name, &topics, &desk, &heard) {
                Ok(member) => {
                    if joined.send(Ok(())).is_ok() {
                        member.work();
                    }
                }
                Err(error) => drop(joined.send(Err(error))),
            }
        })
    };
    let handle =
        handle.map_err(|error| unavailable_because(format!("cannot start a thread: {error}")))?;
    let thread = handle.thread().clone();
    join.await.unwrap_or_else(|_| Err(unavailable_because("the subscription's thread broke")))?;
    Ok(Box::new(KafkaSubscription { group: group.to_owned(), desk, heard, thread }))
}

#[async_trait]
impl Subscription for KafkaSubscription {
    async fn next(&mut self, max: usize) -> Result<Delivery, LogError> {
        loop {
            // Nothing is taken before the last wait is over, so a dropped call loses nothing.
            let taken = self.desk.take(max.max(1))?;
            if taken.made_room {
                self.thread.unpark();
            }
            if let Some(delivery) = taken.delivery {
                return Ok(delivery);
            }
            if let Some(reason) = self.heard.deaf() {
                return Err(unavailable_because(reason));
            }
            // No news for a while: once more, for a thread that is stuck brings none.
            let _ = timeout(NEWS_MAX, self.desk.news.notified()).await;
        }
    }

    async fn seek(&mut self, source: &SourceLane, offset: i64) -> Result<(), LogError> {
        self.desk.want(source, Want::ReadFrom(offset.max(0)));
        self.thread.unpark();
        Ok(())
    }

    async fn pause(&mut self, source: &SourceLane) -> Result<(), LogError> {
        self.desk.want(source, Want::Pause);
        self.thread.unpark();
        Ok(())
    }

    async fn note_progress(
        &mut self,
        source: &SourceLane,
        next_offset: i64,
    ) -> Result<(), LogError> {
        // The thread looks by itself, some times a second: this is for lag tools.
        self.desk.note(source, next_offset);
        Ok(())
    }

    fn narrow(&mut self, types: &[String]) {
        self.desk.narrow(types);
    }

    fn contact(&self) -> Option<Arc<dyn Contact>> {
        Some(self.heard.clone())
    }
}

impl Drop for KafkaSubscription {
    fn drop(&mut self) {
        self.desk.close();
        self.thread.unpark();
    }
}
