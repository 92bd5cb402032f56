//! How to reach a cluster, and every bound of our use of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

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
    /// Further properties of librdkafka; those that the protocol rests on are refused.
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
    /// How long a broker may hold back an answer for want of records. Also the longest wait before a lane
    /// that was sought is fetched.
    pub fetch_wait: Duration,
    /// How often topics are asked for, so that new ones are noticed.
    pub metadata_every: Duration,
    /// Records that wait for the next call of a subscription.
    pub buffered_records_max: usize,
    /// Their bytes. librdkafka keeps at most as much again for each partition.
    pub buffered_bytes_max: usize,
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
            fetch_wait: Duration::from_millis(50),
            metadata_every: Duration::from_secs(3),
            buffered_records_max: 4_096,
            buffered_bytes_max: 8 * 1024 * 1024,
            progress_every: Duration::from_secs(1),
            lookups_max: 4,
        }
    }
}

/// What is wrong with a configuration: all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Kafka configuration is wrong: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

/// Properties that the protocol rests on.
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

    /// What all our clients have in common.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", &self.client_id)
            // A broker that comes back is met at once, not after librdkafka's ten seconds.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", millis(self.limits.metadata_every))
            .set("topic.metadata.propagation.max.ms", "5000")
            .set_log_level(RDKafkaLogLevel::Warning);
        match &self.security {
            Security::Plaintext => client.set("security.protocol", "plaintext"),
            Security::Tls => client.set("security.protocol", "ssl"),
            Security::SaslTls { mechanism, username, password } => client
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanisms", mechanism)
                .set("sasl.username", username)
                .set("sasl.password", password),
        };
        client
    }

    /// A client for topics and their settings. Nobody reads its log: it is off.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut client = self.client();
        client.set_log_level(RDKafkaLogLevel::Emerg);
        client
    }

    pub(super) fn producer(&self, transactional_id: &str, record_bytes_max: usize) -> ClientConfig {
        let limits = &self.limits;
        let mut client = self.client();
        client
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", millis(limits.transaction_timeout))
            .set("message.timeout.ms", millis(limits.delivery_timeout))
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A transaction is a batch already: waiting for more only makes it later.
            .set("linger.ms", "0")
            .set("message.max.bytes", record_bytes_max.to_string())
            .set("batch.size", limits.batch_bytes_max.min(record_bytes_max).to_string());
        client
    }

    /// A consumer that only asks for the ends of partitions, open transactions included.
    pub(super) fn uncommitted(&self) -> ClientConfig {
        let mut client = self.consumer("read_uncommitted");
        client.set_log_level(RDKafkaLogLevel::Emerg);
        client
    }

    /// A consumer without a group, for lookups.
    pub(super) fn lookup(&self) -> ClientConfig {
        let mut client = self.consumer("read_committed");
        client
            // Idle ones are not to fill their queues with news that nobody reads.
            .set("topic.metadata.refresh.interval.ms", "-1")
            // librdkafka assigns nothing without a name; nobody joins or commits under it.
            .set("group.id", "quadrille.lookup")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "5")
            // A probe wants one record, not a megabyte.
            .set("fetch.message.max.bytes", "262144")
            // The only place where librdkafka tells a topic's id; see `context`.
            .set("debug", "topic")
            .set_log_level(RDKafkaLogLevel::Debug);
        client
    }

    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let limits = &self.limits;
        let mut client = self.consumer("read_committed");
        client
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(limits.session_timeout))
            .set("heartbeat.interval.ms", millis(limits.heartbeat_every))
            .set("fetch.wait.max.ms", millis(limits.fetch_wait));
        client
    }

    fn consumer(&self, isolation: &str) -> ClientConfig {
        let limits = &self.limits;
        let mut client = self.client();
        client
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("queued.min.messages", limits.buffered_records_max.to_string())
            .set(
                "queued.max.messages.kbytes",
                (limits.buffered_bytes_max / 1024).max(1).to_string(),
            )
            // By default a full queue stops the fetching for a whole second.
            .set("fetch.queue.backoff.ms", "5");
        client
    }
}

pub(super) fn millis(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
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
mod tests {
    use super::*;

    fn wrong(config: &KafkaConfig) -> Vec<String> {
        config.check().err().map(|error| error.0).unwrap_or_default()
    }

    #[test]
    fn plaintext_off_loopback_needs_a_yes() {
        for local in ["localhost:9092", "127.0.0.1:9092,[::1]:9092", "PLAINTEXT://127.3.2.1:1"] {
            assert_eq!(wrong(&KafkaConfig::new(local)), [""; 0], "{local}");
        }
        let mut config = KafkaConfig::new("localhost:9092, kafka:9092,10.0.0.1:9092");
        assert_eq!(wrong(&config).len(), 2);
        config.plaintext_off_loopback = true;
        assert_eq!(wrong(&config), [""; 0]);
    }

    #[test]
    fn all_errors_come_at_once() {
        let mut config = KafkaConfig::new("");
        config.limits.delivery_timeout = config.limits.transaction_timeout;
        config.limits.heartbeat_every = config.limits.session_timeout;
        config.limits.lookups_max = 0;
        config.properties.insert("isolation.level".into(), "read_uncommitted".into());
        assert_eq!(wrong(&config).len(), 5, "{:?}", wrong(&config));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut config = KafkaConfig::new("localhost:9092");
        config.properties.insert("ssl.key.password".into(), "opensesame".into());
        config.security = Security::SaslTls {
            mechanism: "PLAIN".into(),
            username: "order".into(),
            password: "opensesame".into(),
        };
        let shown = format!("{config:?}");
        assert!(shown.contains("order") && shown.contains("ssl.key.password"), "{shown}");
        assert!(!shown.contains("opensesame"), "{shown}");
    }

    #[test]
    fn batches_stay_below_what_the_topic_allows() {
        let config = KafkaConfig::new("localhost:9092");
        let small = config.producer("id", 10_000);
        assert_eq!(small.get("batch.size"), Some("10000"));
        let large = config.producer("id", 100_000_000);
        assert_eq!(large.get("batch.size"), Some("900000"));
        assert_eq!(large.get("message.max.bytes"), Some("100000000"));
    }
}
