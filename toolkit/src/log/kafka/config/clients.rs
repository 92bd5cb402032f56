//! The settings of each kind of client.

use std::time::Duration;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::{KafkaConfig, Security};

impl KafkaConfig {
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
    pub(in crate::log::kafka) fn admin(&self) -> ClientConfig {
        let mut client = self.client();
        client.set_log_level(RDKafkaLogLevel::Emerg);
        client
    }

    pub(in crate::log::kafka) fn producer(
        &self,
        transactional_id: &str,
        record_bytes_max: usize,
    ) -> ClientConfig {
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
    pub(in crate::log::kafka) fn uncommitted(&self) -> ClientConfig {
        let mut client = self.consumer("read_uncommitted");
        client.set_log_level(RDKafkaLogLevel::Emerg);
        client
    }

    /// A consumer without a group, for lookups.
    pub(in crate::log::kafka) fn lookup(&self) -> ClientConfig {
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

    pub(in crate::log::kafka) fn member(&self, group: &str) -> ClientConfig {
        let limits = &self.limits;
        let mut client = self.consumer("read_committed");
        client
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(limits.session_timeout))
            .set("heartbeat.interval.ms", millis(limits.heartbeat_every))
            // Tells whether anything was heard: a broker that hangs gives no error.
            .set("statistics.interval.ms", "1000")
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

fn millis(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
}
