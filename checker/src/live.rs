//! A reader of committed records that watches while things happen, and notes what it saw.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    message::BorrowedMessage,
};

use crate::{
    evidence::Sighting,
    read::kafka::{COMMITTED, consumer, headers, partitions, settings},
};

const POLL: Duration = Duration::from_millis(100);

/// How often librdkafka tells where it is, in milliseconds.
const STATISTICS_MS: &str = "500";
/// A reader that hears nothing for so long is replaced by a new one: faults last up to 14 s.
const STILL_MAX: Duration = Duration::from_secs(8);

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
    /// Where librdkafka stands in each partition, in its own words.
    standing: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// Hears librdkafka's own account: a reader that stands still shall say where.
struct Ears(Arc<Shared>);

impl ClientContext for Ears {
    fn stats(&self, statistics: Statistics) {
        let topics = statistics.topics.values();
        let known = topics.flat_map(|topic| topic.partitions.values().map(move |p| (topic, p)));
        let mut lines: Vec<String> = known
            .filter(|(_, p)| p.partition >= 0)
            .map(|(topic, p)| {
                format!(
                    "{} {}: {}, next {}, given out {}, last stable {}, end {}, {} in the queue",
                    topic.topic,
                    p.partition,
                    p.fetch_state,
                    p.next_offset,
                    p.app_offset,
                    p.ls_offset,
                    p.hi_offset,
                    p.fetchq_cnt,
                )
            })
            .collect();
        lines.sort();
        *self.0.standing.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}

impl ConsumerContext for Ears {}

impl Watcher {
    /// Begins to read. The topics must be there.
    ///
    /// # Errors
    /// What the broker says.
    pub fn start(kafka: &str, topics: &[String]) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut settings = settings(kafka, COMMITTED);
        settings.set("statistics.interval.ms", STATISTICS_MS);
        let asking = consumer(kafka, COMMITTED)?;
        let mut next = Next::new();
        for topic in topics {
            for partition in partitions(&asking, topic)? {
                next.insert((topic.clone(), partition), Offset::Beginning);
            }
        }
        let consumer = begin(&settings, &next, &shared)?;
        let thread = {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("watcher".into())
                .spawn(move || watch(consumer, &settings, next, &shared))?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many records it has seen.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Where librdkafka stands in each partition, a line each: for one who asks why something was not seen.
    #[must_use]
    pub fn standing(&self) -> Vec<String> {
        self.shared.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

/// Where each partition is to be read on.
type Next = BTreeMap<(String, i32), Offset>;

fn list(next: &Next) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        list.add_partition_offset(topic, *partition, *offset)?;
    }
    Ok(list)
}

/// A new client that reads on from there.
fn begin(settings: &ClientConfig, next: &Next, shared: &Arc<Shared>) -> Result<BaseConsumer<Ears>> {
    let consumer: BaseConsumer<Ears> = settings.create_with_context(Ears(Arc::clone(shared)))?;
    consumer.assign(&list(next)?)?;
    Ok(consumer)
}

fn watch(
    mut consumer: BaseConsumer<Ears>,
    settings: &ClientConfig,
    mut next: Next,
    shared: &Arc<Shared>,
) {
    let mut heard = Instant::now();
    while !shared.stop.load(Ordering::SeqCst) {
        // A client that stands still after what befell its broker says nothing about the log: another one goes on
        // where it was, as whoever operates it would have it do. An assignment anew was seen not to be enough.
        if heard.elapsed() > STILL_MAX {
            heard = Instant::now();
            // What cannot be made now is tried again after the next such time.
            if let Ok(another) = begin(settings, &next, shared) {
                consumer = another;
            }
        }
        match consumer.poll(POLL) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(message)) => {
                heard = Instant::now();
                let seen = sighting(&message);
                let place = (seen.topic.clone(), seen.partition);
                next.insert(place, Offset::Offset(seen.offset + 1));
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
    let headers = headers(message);
    let header = |name: &str| {
        let found = headers.iter().rfind(|(header, _)| header == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    Sighting {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        id: header("ce_id"),
        seq: header("ce_laneseq"),
    }
}
