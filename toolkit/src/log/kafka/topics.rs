//! Topics: made if they are not there, and checked.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::RDKafkaErrorCode,
};
use tokio::sync::OnceCell;

use super::{
    config::{KafkaConfig, TopicPolicy},
    context::Quiet,
    error::{unavailable, unavailable_because},
    reader::{Readers, Shape, no_topic},
};
use crate::log::{LogError, TopicSpec};

/// What a batch with one record takes besides the record, in bytes, generously.
const BATCH_OVERHEAD_BYTES: usize = 1024;
/// Kafka's own default for `max.message.bytes`: no topic of ours is made with less.
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;
/// Between two looks at a topic that was just made.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const CLEANUP: &str = "cleanup.policy";
const RETENTION: &str = "retention.ms";
const RETENTION_BYTES: &str = "retention.bytes";
const MIN_INSYNC: &str = "min.insync.replicas";
const MESSAGE_BYTES: &str = "max.message.bytes";

/// A topic's settings, by name.
type Settings = HashMap<String, String>;

pub(super) struct Topics {
    config: Arc<KafkaConfig>,
    readers: Arc<Readers>,
    admin: OnceCell<Arc<AdminClient<Quiet>>>,
    /// The largest record of each topic that was asked for; settings are read once.
    record_bytes: Mutex<HashMap<String, usize>>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Topics")
    }
}

impl Topics {
    pub(super) fn new(config: Arc<KafkaConfig>, readers: Arc<Readers>) -> Self {
        Self { config, readers, admin: OnceCell::new(), record_bytes: Mutex::default() }
    }

    /// Makes the topic, or checks that it fits.
    pub(super) async fn ensure(&self, spec: &TopicSpec) -> Result<(), LogError> {
        let shape = match self.shape(&spec.name).await? {
            Some(shape) => shape,
            None => {
                self.make(spec).await?;
                self.appeared(&spec.name).await?
            }
        };
        let settings = self.settings(&spec.name).await?;
        let wrong = misfits(spec, &self.config.topics, shape, &settings);
        if wrong.is_empty() {
            return Ok(());
        }
        Err(LogError::Mismatch { topic: spec.name.to_string(), reason: wrong.join("; ") })
    }

    pub(super) async fn lanes_of(&self, topic: &str) -> Result<u32, LogError> {
        let shape = self.shape(topic).await?.ok_or_else(|| no_topic(topic))?;
        Ok(shape.lanes)
    }

    /// The largest record that the topic takes, in bytes, its batch included.
    pub(super) async fn record_bytes_max(&self, topic: &str) -> Result<usize, LogError> {
        if let Some(known) = self.lock().get(topic) {
            return Ok(*known);
        }
        let settings = self.settings(topic).await?;
        let max = number(&settings, MESSAGE_BYTES).unwrap_or(MESSAGE_BYTES_DEFAULT);
        let max = max.saturating_sub(BATCH_OVERHEAD_BYTES).max(BATCH_OVERHEAD_BYTES);
        self.lock().insert(topic.to_owned(), max);
        Ok(max)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.record_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn shape(&self, topic: &str) -> Result<Option<Shape>, LogError> {
        let topic = topic.to_owned();
        self.readers.with(move |reader| reader.shape(&topic)).await
    }

    async fn admin(&self) -> Result<Arc<AdminClient<Quiet>>, LogError> {
        let make = || async {
            let config = self.config.admin();
            let made = tokio::task::spawn_blocking(move || config.create_with_context(Quiet)).await;
            let made = made.map_err(|error| unavailable_because(error.to_string()))?;
            made.map(Arc::new).map_err(|error| unavailable("cannot make an admin client", &error))
        };
        self.admin.get_or_try_init(make).await.map(Arc::clone)
    }

    fn options(&self) -> AdminOptions {
        let timeout = self.config.limits.request_timeout;
        AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
    }

    async fn make(&self, spec: &TopicSpec) -> Result<(), LogError> {
        let admin = self.admin().await?;
        let policy = &self.config.topics;
        let replication = policy.replication.map_or(-1, i32::from);
        let lanes = i32::try_from(spec.lanes).unwrap_or(i32::MAX);
        let retention =
            policy.retention.map_or("-1".to_owned(), |time| time.as_millis().to_string());
        let bytes = message_bytes(spec).max(MESSAGE_BYTES_DEFAULT).to_string();
        let min_insync = policy.min_insync.map(|count| count.to_string());
        let mut topic = NewTopic::new(&spec.name, lanes, TopicReplication::Fixed(replication))
            .set(CLEANUP, "delete")
            .set(RETENTION, &retention)
            .set(MESSAGE_BYTES, &bytes);
        if let Some(count) = &min_insync {
            topic = topic.set(MIN_INSYNC, count);
        }
        let failed = |reason: String| {
            unavailable_because(format!("cannot make the topic {}: {reason}", spec.name))
        };
        let results = admin.create_topics([&topic], &self.options()).await;
        match results.map_err(|error| failed(error.to_string()))?.into_iter().next() {
            // Another instance was faster: what it made is checked like any other.
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((
                _,
                RDKafkaErrorCode::PolicyViolation
                | RDKafkaErrorCode::InvalidConfig
                | RDKafkaErrorCode::InvalidReplicationFactor
                | RDKafkaErrorCode::InvalidPartitions,
            ))) => Err(LogError::Mismatch {
                topic: spec.name.to_string(),
                reason: format!(
                    "the cluster refuses to make it with {lanes} partitions, replication {replication} (-1 is the \
                         cluster's default), {RETENTION}={retention}, {MESSAGE_BYTES}={bytes}: change what is asked \
                         for, or the cluster's rules"
                ),
            }),
            Some(Err((_, code))) => Err(failed(code.to_string())),
            None => Err(failed("no answer".into())),
        }
    }

    /// Waits until a topic that was just made can be used.
    async fn appeared(&self, topic: &str) -> Result<Shape, LogError> {
        let deadline = Instant::now() + self.config.limits.request_timeout;
        loop {
            if let Some(shape) = self.shape(topic).await?
                && shape.led
                && shape.lanes > 0
            {
                return Ok(shape);
            }
            if Instant::now() >= deadline {
                return Err(no_topic(topic));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn settings(&self, topic: &str) -> Result<Settings, LogError> {
        let admin = self.admin().await?;
        let failed = |reason: String| {
            unavailable_because(format!("cannot read the settings of the topic {topic}: {reason}"))
        };
        let asked = [ResourceSpecifier::Topic(topic)];
        let results = admin.describe_configs(&asked, &self.options()).await;
        match results.map_err(|error| failed(error.to_string()))?.into_iter().next() {
            Some(Ok(found)) => Ok(found
                .entries
                .into_iter()
                .filter_map(|entry| Some((entry.name, entry.value?)))
                .collect()),
            Some(Err(code)) => Err(failed(code.to_string())),
            None => Err(failed("no answer".into())),
        }
    }
}

/// What `max.message.bytes` must be at least.
fn message_bytes(spec: &TopicSpec) -> usize {
    spec.record_bytes_max.saturating_add(BATCH_OVERHEAD_BYTES)
}

fn number<T: std::str::FromStr>(settings: &Settings, name: &str) -> Option<T> {
    settings.get(name).and_then(|value| value.parse().ok())
}

/// Everything that does not fit, and what to do about it.
fn misfits(
    spec: &TopicSpec,
    policy: &TopicPolicy,
    shape: Shape,
    settings: &Settings,
) -> Vec<String> {
    let mut wrong = vec![];
    if shape.lanes != spec.lanes {
        wrong.push(format!(
            "it has {} partitions, and the service numbers its events for {}: use a topic with {}, or set the service's \
             lanes to {}",
            shape.lanes, spec.lanes, spec.lanes, shape.lanes
        ));
    }
    if settings.get(CLEANUP).is_some_and(|policy| policy.contains("compact")) {
        wrong.push(format!("it is compacted, which drops events: set {CLEANUP}=delete"));
    }
    let bytes: usize = number(settings, MESSAGE_BYTES).unwrap_or(usize::MAX);
    if bytes < message_bytes(spec) {
        wrong.push(format!(
            "{MESSAGE_BYTES} is {bytes}: set it to at least {}",
            message_bytes(spec)
        ));
    }
    check_retention(policy, settings, &mut wrong);
    if let Some(copies) = policy.replication
        && shape.replication < usize::from(copies)
    {
        let has = shape.replication;
        wrong.push(format!("a partition has {has} replicas: reassign it to have {copies}"));
    }
    if let Some(insync) = policy.min_insync
        && number(settings, MIN_INSYNC).is_some_and(|has: u16| has < insync)
    {
        wrong.push(format!("{MIN_INSYNC} is too low: set it to {insync}"));
    }
    wrong
}

fn check_retention(policy: &TopicPolicy, settings: &Settings, wrong: &mut Vec<String>) {
    let needed = policy.retention.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    // -1 is for ever.
    let has = number(settings, RETENTION).unwrap_or(-1);
    if has >= 0 && needed.is_none_or(|needed| has < needed) {
        let set = needed.map_or("-1".into(), |needed| format!("at least {needed}, or -1"));
        wrong.push(format!("{RETENTION} is {has}: set it to {set}"));
    }
    let bytes = number(settings, RETENTION_BYTES).unwrap_or(-1);
    if bytes >= 0 {
        wrong.push(format!(
            "{RETENTION_BYTES} is {bytes}, so that busy hours shorten the retention: set it to -1"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> TopicSpec {
        TopicSpec { name: "t".into(), lanes: 6, record_bytes_max: 500_000 }
    }

    fn shape() -> Shape {
        Shape { lanes: 6, replication: 3, led: true }
    }

    fn settings(changes: &[(&str, &str)]) -> Settings {
        let defaults = [
            (CLEANUP, "delete"),
            (RETENTION, "604800000"),
            (MESSAGE_BYTES, "1048588"),
            (MIN_INSYNC, "1"),
        ];
        let all = defaults.iter().chain(changes);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn wrong(policy: &TopicPolicy, changes: &[(&str, &str)]) -> String {
        misfits(&spec(), policy, shape(), &settings(changes)).join("; ")
    }

    #[test]
    fn kafkas_defaults_fit() {
        assert_eq!(wrong(&TopicPolicy::default(), &[]), "");
    }

    #[test]
    fn each_misfit_names_its_setting() {
        let policy = TopicPolicy::default();
        for (name, value) in [
            (CLEANUP, "compact,delete"),
            (RETENTION, "1000"),
            (RETENTION_BYTES, "1000"),
            (MESSAGE_BYTES, "500000"),
        ] {
            let reason = wrong(&policy, &[(name, value)]);
            assert!(reason.contains(name), "{name}: {reason:?}");
        }
        let safe = TopicPolicy { replication: Some(4), min_insync: Some(2), retention: None };
        let reason = wrong(&safe, &[]);
        assert!(reason.contains("replicas: reassign") && reason.contains(MIN_INSYNC), "{reason}");
        assert!(reason.contains("retention.ms is 604800000: set it to -1"), "{reason}");
    }

    #[test]
    fn records_kept_for_ever_are_kept_long_enough() {
        let forever = TopicPolicy { retention: None, ..TopicPolicy::default() };
        assert_eq!(wrong(&forever, &[(RETENTION, "-1")]), "");
    }
}
