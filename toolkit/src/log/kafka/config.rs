//! How to reach a cluster, and every bound of our use of it.

mod clients;

use std::{collections::BTreeMap, fmt, time::Duration};

/// How to reach a Kafka cluster, and the bounds of our use of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// The name under which the brokers know us, in their logs and quotas.
    pub client_id: String,
    /// Encryption and identity.
    pub security: Security,
    /// Plaintext to hosts other than this machine: only by an explicit yes.
    pub plaintext_off_loopback: bool,
    /// What a topic must be like besides what the service asks for.
    pub topics: TopicPolicy,
    /// Sizes, counts and times.
    pub limits: KafkaLimits,
    /// Further properties of librdkafka; those that the toolkit sets itself are refused.
    pub properties: BTreeMap<String, String>,
}

/// Encryption and identity of a connection. Anything but plaintext needs the feature `kafka-ssl`.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Security {
    /// Neither.
    #[default]
    Plaintext,
    /// TLS. Certificates and keys are given as properties of librdkafka (`ssl.ca.location`, …).
    Tls,
    /// TLS, and a name and a password.
    SaslTls {
        /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        mechanism: String,
        /// The name.
        username: String,
        /// The password; never shown.
        password: String,
    },
}

/// What a topic must be like besides what the service asks for. Topics are made like this, and existing
/// ones that are weaker are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicPolicy {
    /// Copies of each partition; `None` takes the cluster's default and checks nothing.
    pub replication: Option<u16>,
    /// Copies that must have a record before it is acknowledged; `None` as above.
    pub min_insync: Option<u16>,
    /// For how long a topic must keep its records at least; `None` is for ever.
    pub retention: Option<Duration>,
}

impl Default for TopicPolicy {
    fn default() -> Self {
        Self {
            replication: None,
            min_insync: None,
            retention: Some(Duration::from_secs(7 * 24 * 3600)),
        }
    }
}

/// librdkafka tells where it is once a second: in less time than this nothing can be seen to stand still.
const STANDSTILL_MIN: Duration = Duration::from_secs(3);

/// Every bound of the Kafka log, by name and with its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KafkaLimits {
    /// After this time the coordinator aborts a transaction by itself.
    pub transaction_timeout: Duration,
    /// A record that is not acknowledged after this time puts its transaction in doubt; below the former.
    pub delivery_timeout: Duration,
    /// For how long to wait for a new epoch.
    pub init_timeout: Duration,
    /// For how long to wait for an answer to a question: metadata, offsets, settings.
    pub request_timeout: Duration,
    /// For how long to look for a number in a lane, or to read a tail.
    pub lookup_timeout: Duration,
    /// Bytes in one batch of a partition; kept below what the topic allows.
    pub batch_bytes_max: usize,
    /// A member that gives no sign of life for so long loses its lanes.
    pub session_timeout: Duration,
    /// How often a member gives a sign of life; at most a third of the former. Members learn from the answer
    /// that the group changes, so this is also how fast lanes move.
    pub heartbeat_every: Duration,
    /// A member that hears nothing from any broker for so long says that it is not ready. Above
    /// `metadata_every`: an idle member hears no more often than that while its group forms.
    pub silence_max: Duration,
    /// A member that hears nothing from any broker for so long is replaced by a new client. Above `silence_max` and
    /// `session_timeout`. While no broker is there a new client hears nothing either, and is replaced in its turn.
    pub deaf_max: Duration,
    /// A member that has no place in its group for so long although brokers answer is replaced by a new client. Above twice
    /// `session_timeout`: a group waits that long for members that are gone.
    pub membership_max: Duration,
    /// A member is replaced by a new client when it fetches nothing more of a lane for so long although the broker says
    /// that there is more. The broker is asked every third of it, for lanes in which nothing moves.
    pub standstill_max: Duration,
    /// How long a broker may hold back an answer for want of records. Also the longest wait before a lane
    /// that was sought is fetched.
    pub fetch_wait: Duration,
    /// How often topics are asked for, so that new ones are noticed.
    pub metadata_every: Duration,
    /// Records that wait for the next call of a subscription.
    pub buffered_records_max: usize,
    /// Their bytes. librdkafka keeps at most as much again for each partition.
    pub buffered_bytes_max: usize,
    /// How long a commit's marks are given to be written before the next transaction begins. Kafka answers a commit
    /// before them, and a transaction that comes too early waits 20 ms in librdkafka; a moment is mostly enough.
    pub commit_rest: Duration,
    /// How often progress is told to the group.
    pub progress_every: Duration,
    /// Lookups that run at the same time; more of them wait.
    pub lookups_max: usize,
}

impl Default for KafkaLimits {
    fn default() -> Self {
        Self {
            transaction_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(8),
            init_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            lookup_timeout: Duration::from_secs(30),
            batch_bytes_max: 900_000,
            session_timeout: Duration::from_secs(10),
            heartbeat_every: Duration::from_millis(500),
            silence_max: Duration::from_secs(8),
            deaf_max: Duration::from_secs(30),
            membership_max: Duration::from_secs(45),
            standstill_max: Duration::from_secs(30),
            fetch_wait: Duration::from_millis(50),
            metadata_every: Duration::from_secs(3),
            buffered_records_max: 4_096,
            buffered_bytes_max: 8 * 1024 * 1024,
            commit_rest: Duration::from_millis(3),
            progress_every: Duration::from_secs(1),
            lookups_max: 4,
        }
    }
}

/// What is wrong with a configuration: all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Kafka configuration is wrong: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

/// Properties that the protocol rests on, or that a limit of ours sets: given as well, they would have no
/// effect, which nobody should have to find out.
const OURS: &[&str] = &[
    "bootstrap.servers",
    "client.id",
    "group.id",
    "transactional.id",
    "transaction.timeout.ms",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "isolation.level",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "partition.assignment.strategy",
    "group.protocol",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "debug",
    "linger.ms",
    "queue.buffering.max.ms",
    "message.max.bytes",
    "batch.size",
    "session.timeout.ms",
    "statistics.interval.ms",
    "heartbeat.interval.ms",
    "fetch.wait.max.ms",
    "fetch.message.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.queue.backoff.ms",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "allow.auto.create.topics",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.propagation.max.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
];

impl KafkaConfig {
    /// The defaults, with these servers.
    #[must_use]
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            client_id: "quadrille".into(),
            security: Security::Plaintext,
            plaintext_off_loopback: false,
            topics: TopicPolicy::default(),
            limits: KafkaLimits::default(),
            properties: BTreeMap::new(),
        }
    }

    /// Says everything that is wrong.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut wrong = vec![];
        self.check_servers(&mut wrong);
        self.check_limits(&mut wrong);
        for name in self.properties.keys().filter(|name| OURS.contains(&name.as_str())) {
            wrong.push(format!("the property {name} is set by the toolkit: remove it"));
        }
        if self.security != Security::Plaintext && !cfg!(feature = "kafka-ssl") {
            wrong.push("TLS needs the toolkit's feature `kafka-ssl`".into());
        }
        if wrong.is_empty() { Ok(()) } else { Err(ConfigError(wrong)) }
    }

    fn check_servers(&self, wrong: &mut Vec<String>) {
        if self.bootstrap_servers.trim().is_empty() {
            wrong.push("bootstrap_servers is empty: give host:port, separated by commas".into());
        }
        if self.security != Security::Plaintext || self.plaintext_off_loopback {
            return;
        }
        for server in self.bootstrap_servers.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            if !is_loopback(server) {
                wrong.push(format!(
                    "{server} is not this machine, and the connection is plaintext: use TLS, or say yes to \
                     plaintext_off_loopback"
                ));
            }
        }
    }

    fn check_limits(&self, wrong: &mut Vec<String>) {
        let limits = &self.limits;
        if limits.delivery_timeout >= limits.transaction_timeout {
            wrong.push("delivery_timeout must be below transaction_timeout".into());
        }
        if limits.heartbeat_every * 3 > limits.session_timeout {
            wrong.push("heartbeat_every must be at most a third of session_timeout".into());
        }
        if limits.silence_max <= limits.metadata_every {
            wrong.push("silence_max must be above metadata_every".into());
        }
        if limits.deaf_max <= limits.silence_max.max(limits.session_timeout) {
            wrong.push("deaf_max must be above silence_max and session_timeout".into());
        }
        if limits.membership_max <= limits.session_timeout * 2 {
            wrong.push("membership_max must be above twice session_timeout".into());
        }
        if limits.standstill_max <= (limits.fetch_wait * 3).max(STANDSTILL_MIN) {
            wrong.push(format!(
                "standstill_max must be above {} s and three times fetch_wait",
                STANDSTILL_MIN.as_secs()
            ));
        }
        let counts = [
            ("batch_bytes_max", limits.batch_bytes_max),
            ("buffered_records_max", limits.buffered_records_max),
            ("buffered_bytes_max", limits.buffered_bytes_max),
            ("lookups_max", limits.lookups_max),
        ];
        for (name, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            wrong.push(format!("{name} must be above 0"));
        }
    }
}

/// Whether `host:port` is this machine, by its name alone: nothing is looked up.
fn is_loopback(server: &str) -> bool {
    let server = server.rsplit_once("://").map_or(server, |(_, rest)| rest);
    let host = match server.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => server.split(':').next().unwrap_or(server),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be secrets (`ssl.key.password`); their names are not.
        let properties: Vec<_> = self.properties.keys().collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("security", &self.security)
            .field("plaintext_off_loopback", &self.plaintext_off_loopback)
            .field("topics", &self.topics)
            .field("limits", &self.limits)
            .field("properties", &properties)
            .finish()
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext => f.write_str("Plaintext"),
            Self::Tls => f.write_str("Tls"),
            Self::SaslTls { mechanism, username, .. } => f
                .debug_struct("SaslTls")
                .field("mechanism", mechanism)
                .field("username", username)
                .field("password", &"redacted")
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests;
