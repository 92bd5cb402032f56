//! librdkafka's errors in the words of the port.

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use crate::log::LogError;

/// It may answer later.
pub(super) fn unavailable(what: &str, error: &KafkaError) -> LogError {
    LogError::Unavailable(format!("{what}: {}", describe(error)).into())
}

/// As above, with a reason of our own.
pub(super) fn unavailable_because(reason: impl Into<String>) -> LogError {
    LogError::Unavailable(reason.into().into())
}

/// The error in words; `Display` of transaction errors says no more than that there is one.
pub(super) fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(inner) => format!("{} ({:?})", inner.string(), inner.code()),
        other => other.to_string(),
    }
}

/// Whether a later owner of the transactional id has come.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    code(error).is_some_and(is_fencing)
}

/// Whether this code says that a later owner of the transactional id has come.
pub(super) fn is_fencing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | ProducerFenced | InvalidProducerEpoch)
}

fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    }
}

/// The error of a topic or a partition in metadata.
pub(super) fn metadata_error(code: RDKafkaRespErr) -> String {
    RDKafkaErrorCode::from(code).to_string()
}
