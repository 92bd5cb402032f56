//! Lookups: reading a part of a partition outside of any group.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    config::KafkaConfig,
    context::{Quiet, TopicIds},
    convert,
    error::{metadata_error, unavailable, unavailable_because},
};
use crate::{
    id::SourceLane,
    log::{LogError, LogRecord},
};

/// A reader that was idle for longer is not used again.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// One wait for a record; the deadline is looked at in between.
const POLL: Duration = Duration::from_millis(100);
/// Long enough to take everything out of a queue that is not growing.
const DRAIN: Duration = Duration::from_millis(1);

/// Readers for lookups: each is used by one lookup at a time, and kept for the next.
pub(super) struct Readers {
    config: Arc<KafkaConfig>,
    idle: Mutex<Vec<(Reader, Instant)>>,
    permits: Semaphore,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    pub(super) fn new(config: Arc<KafkaConfig>) -> Self {
        let permits = Semaphore::new(config.limits.lookups_max);
        Self { config, idle: Mutex::new(vec![]), permits }
    }

    /// Runs a lookup on a thread that may block.
    pub(super) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        lookup: impl FnOnce(&Reader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let permit = self.permits.acquire().await;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let reader = readers.take()?;
            let result = lookup(&reader);
            // After a failure its connections and its assignment are anybody's guess.
            if result.is_ok() && reader.rest().is_ok() {
                readers.lock().push((reader, Instant::now()));
            }
            result
        });
        // Its own deadline ends it; a call in which librdkafka hangs has none.
        let limits = &self.config.limits;
        let max = limits.lookup_timeout + limits.request_timeout * 2;
        let result = timeout(max, task).await;
        drop(permit);
        match result {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(unavailable_because(format!("a lookup broke: {error}"))),
            Err(_) => {
                Err(unavailable_because(format!("a lookup hangs: no end in {} s", max.as_secs())))
            }
        }
    }

    fn take(&self) -> Result<Reader, LogError> {
        loop {
            let Some((reader, since)) = self.lock().pop() else {
                return Reader::new(&self.config);
            };
            if since.elapsed() < IDLE_MAX {
                return Ok(reader);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Reader, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a partition holds at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The first offset that is there.
    pub(super) start: i64,
    /// Readers see what is before this offset.
    pub(super) last_stable: i64,
    /// The offset after the last record or mark, of open transactions too.
    pub(super) high: i64,
}

/// What to do after a record was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Stop,
}

/// Two clients: the ends of a partition depend on what a client may see.
pub(super) struct Reader {
    config: Arc<KafkaConfig>,
    committed: BaseConsumer<TopicIds>,
    uncommitted: BaseConsumer<Quiet>,
}

impl Reader {
    fn new(config: &Arc<KafkaConfig>) -> Result<Self, LogError> {
        let failed = |error| unavailable("cannot make a consumer", &error);
        Ok(Self {
            config: Arc::clone(config),
            committed: config.lookup().create_with_context(TopicIds::default()).map_err(failed)?,
            uncommitted: config.uncommitted().create_with_context(Quiet).map_err(failed)?,
        })
    }

    fn rest(&self) -> KafkaResult<()> {
        self.committed.unassign()
    }

    /// When a lookup that starts now must have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config.limits.lookup_timeout
    }

    fn request_timeout(&self) -> Duration {
        self.config.limits.request_timeout
    }

    /// The topic's partitions and how many brokers have a copy of the first; `None` when there is no such
    /// topic.
    pub(super) fn shape(&self, topic: &str) -> Result<Option<Shape>, LogError> {
        let metadata = self
            .committed
            .fetch_metadata(Some(topic), self.request_timeout())
            .map_err(|error| unavailable(&format!("cannot ask for the topic {topic}"), &error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error() {
            None => {}
            Some(rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => {
                return Ok(None);
            }
            Some(code) => {
                let reason = metadata_error(code);
                return Err(unavailable_because(format!("the topic {topic}: {reason}")));
            }
        }
        let partitions = found.partitions();
        Ok(Some(Shape {
            lanes: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
            replication: partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0),
            led: partitions.iter().all(|p| p.leader() >= 0),
        }))
    }

    /// Which topic this is: a topic that was made again has another id.
    pub(super) fn topic_id(&self, topic: &str) -> Result<String, LogError> {
        if self.shape(topic)?.is_none() {
            return Err(no_topic(topic));
        }
        // The id was written before the answer came; it only has to be taken out of the queue.
        drop(self.committed.poll(DRAIN));
        self.committed.context().of(topic).ok_or_else(|| {
            unavailable_because(format!(
                "the topic {topic} has no id: brokers of version 2.8 or later are needed"
            ))
        })
    }

    /// What the partition holds now.
    pub(super) fn ends(&self, source: &SourceLane) -> Result<Ends, LogError> {
        let partition = convert::partition(source.lane);
        let timeout = self.request_timeout();
        let failed = |error| unavailable(&format!("cannot ask for the ends of {source}"), &error);
        // The high watermark first: whatever is stable up to it then, is so at the second question.
        let (_, high) =
            self.uncommitted.fetch_watermarks(&source.topic, partition, timeout).map_err(failed)?;
        let (start, last_stable) =
            self.committed.fetch_watermarks(&source.topic, partition, timeout).map_err(failed)?;
        Ok(Ends { start, last_stable, high })
    }

    /// Shows the committed records from `from` to before `to`, in order. `to` must not lie behind the last
    /// stable offset: nothing would tell that it was reached.
    pub(super) fn scan(
        &self,
        source: &SourceLane,
        from: i64,
        to: i64,
        deadline: Instant,
        mut show: impl FnMut(LogRecord) -> Go,
    ) -> Result<(), LogError> {
        if from >= to {
            return Ok(());
        }
        let failed = |error| unavailable(&format!("cannot read {source}"), &error);
        self.assign(source, from).map_err(failed)?;
        while Instant::now() < deadline {
            match self.committed.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let record = convert::record(&source.topic, &message, None);
                    let last = record.offset + 1 >= to;
                    if record.offset >= to || show(record) == Go::Stop || last {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(KafkaError::MessageConsumption(code))) if is_passing(code) => {}
                Some(Err(error)) => return Err(failed(error)),
            }
        }
        Err(unavailable_because(format!("reading {source} took too long")))
    }

    fn assign(&self, source: &SourceLane, from: i64) -> KafkaResult<()> {
        let mut lanes = TopicPartitionList::with_capacity(1);
        let partition = convert::partition(source.lane);
        lanes.add_partition_offset(&source.topic, partition, Offset::Offset(from))?;
        self.committed.assign(&lanes)
    }
}

/// A topic in the cluster's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) lanes: u32,
    /// The fewest copies that a partition has.
    pub(super) replication: usize,
    /// Every partition has a leader.
    pub(super) led: bool,
}

/// It may be made later.
pub(super) fn no_topic(topic: &str) -> LogError {
    unavailable_because(format!("there is no topic {topic} yet"))
}

/// librdkafka goes on by itself after these.
pub(super) fn is_passing(code: rdkafka::error::RDKafkaErrorCode) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, LeaderNotAvailable, MessageTimedOut,
        NotLeaderForPartition, OperationTimedOut, RequestTimedOut, Resolve, UnknownPartition,
        UnknownTopic, UnknownTopicOrPartition,
    };
    matches!(
        code,
        AllBrokersDown
            | BrokerTransportFailure
            | LeaderNotAvailable
            | MessageTimedOut
            | NotLeaderForPartition
            | OperationTimedOut
            | RequestTimedOut
            | Resolve
            | UnknownPartition
            | UnknownTopic
            | UnknownTopicOrPartition
    )
}
