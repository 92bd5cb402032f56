//! What librdkafka tells us by the way.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rdkafka::{
    ClientContext, client::OAuthToken, config::RDKafkaLogLevel, consumer::ConsumerContext,
    error::KafkaError, types::RDKafkaErrorCode,
};

/// librdkafka's log, as ours.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        // A broker that is away is no error of ours: librdkafka tries again by itself.
        Emerg | Alert | Critical | Error | Warning => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        Notice | Info => tracing::info!(target: "librdkafka", facility, "{message}"),
        Debug => tracing::trace!(target: "librdkafka", facility, "{message}"),
    }
}

/// An error that concerns the whole client.
pub(super) fn error(error: &KafkaError, reason: &str) {
    // Asked for by those who read to an end (`enable.partition.eof`), and no error at all.
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        return;
    }
    tracing::warn!(target: "librdkafka", %error, "{reason}");
}

/// The context of clients that only ask.
#[derive(Debug, Default)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, failure: KafkaError, reason: &str) {
        error(&failure, reason);
    }

    fn generate_oauth_token(
        &self,
        _config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Err("OAUTHBEARER is not supported".into())
    }
}

impl ConsumerContext for Quiet {}

/// Learns the ids of topics (P6: a topic that was made again has another id).
///
/// librdkafka asks the brokers for them, but its interface without unsafe code gives them nowhere. It does
/// write each new one into its debug log; that line is read here. The bundled librdkafka is of a fixed
/// version, and the tests make a topic again to see the line come.
#[derive(Debug, Default)]
pub(super) struct TopicIds(Mutex<HashMap<String, String>>);

impl TopicIds {
    /// The id that was told last. Ask for the topic's metadata first.
    pub(super) fn of(&self, topic: &str) -> Option<String> {
        self.lock().get(topic).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for TopicIds {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some((topic, id)) = changed_id(message) {
            self.lock().insert(topic.to_owned(), id.to_owned());
        }
        log(level, facility, message);
    }

    fn error(&self, failure: KafkaError, reason: &str) {
        error(&failure, reason);
    }
}

impl ConsumerContext for TopicIds {}

/// Reads `[thrd:…]: Topic <name> changed id from <id> to <id>`.
fn changed_id(message: &str) -> Option<(&str, &str)> {
    let (before, after) = message.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (_, id) = after.split_once(" to ")?;
    (!topic.is_empty() && !id.is_empty()).then_some((topic, id.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line_that_tells_a_topics_id() {
        let line = "[thrd:main]: Topic demo.order.events changed id from AAAAAAAAAAAAAAAAAAAAAA to k3Zr0pXqTf-LwD5nTgXv2g";
        assert_eq!(changed_id(line), Some(("demo.order.events", "k3Zr0pXqTf-LwD5nTgXv2g")));
        assert_eq!(
            changed_id("[thrd:main]: Topic demo.order.events partition count changed"),
            None
        );
    }
}
