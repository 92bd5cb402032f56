//! A reader of committed records that watches while things happen, and notes what it saw.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Result, anyhow};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    evidence::Sighting,
    read::kafka::{COMMITTED, consumer, partitions},
};

const POLL: Duration = Duration::from_millis(100);

/// A thread that reads the topics from their beginning, through everything that befalls the brokers.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Sighting>>,
    /// Errors that the reader was told: a broker that is away is none.
    fatal: Mutex<Option<String>>,
    stop: AtomicBool,
}

impl Watcher {
    /// Begins to read. The topics must be there.
    ///
    /// # Errors
    /// What the broker says.
    pub fn start(kafka: &str, topics: &[String]) -> Result<Self> {
        let consumer = consumer(kafka, COMMITTED)?;
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for partition in partitions(&consumer, topic)? {
                list.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&list)?;
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("watcher".into())
                .spawn(move || watch(&consumer, &shared))?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many records it has seen.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Stops, and gives what was seen, in the order of each partition.
    ///
    /// # Errors
    /// When the reader could not go on: it would have missed something.
    pub fn stop(mut self) -> Result<Vec<Sighting>> {
        self.end();
        if let Some(error) = self.shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Err(anyhow!("the live reader could not go on: {error}"));
        }
        Ok(std::mem::take(&mut *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell by its end.
            let _ = thread.join();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

fn watch(consumer: &BaseConsumer, shared: &Shared) {
    while !shared.stop.load(Ordering::SeqCst) {
        match consumer.poll(POLL) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(message)) => {
                let seen = sighting(&message);
                shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            }
            Some(Err(error)) => {
                // An offset that is not there any more would be a log that has lost records.
                let lost = error.rdkafka_error_code().is_some_and(|code| {
                    use rdkafka::types::RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
                    matches!(code, AutoOffsetReset | OffsetOutOfRange)
                });
                if lost {
                    let mut fatal = shared.fatal.lock().unwrap_or_else(PoisonError::into_inner);
                    fatal.get_or_insert_with(|| error.to_string());
                }
            }
        }
    }
}

fn sighting(message: &BorrowedMessage<'_>) -> Sighting {
    let header = |name: &str| {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let found = headers.filter(|header| header.key == name).filter_map(|header| header.value);
        let text = found.last().map(|value| String::from_utf8_lossy(value).into_owned());
        text.unwrap_or_default()
    };
    Sighting {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        id: header("ce_id"),
        seq: header("ce_laneseq"),
    }
}
