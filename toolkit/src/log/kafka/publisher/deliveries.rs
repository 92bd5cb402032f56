//! Counts what the brokers have acknowledged. The polling thread counts, the publisher's thread waits.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, error::KafkaError, error::RDKafkaErrorCode,
    message::DeliveryResult, producer::ProducerContext,
};

use crate::log::kafka::context;

#[derive(Debug, Default)]
struct Count {
    missing: usize,
    failed: Option<RDKafkaErrorCode>,
}

/// The records of the transaction that is under way.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    count: Mutex<Count>,
    settled: Condvar,
}

/// How a transaction's records fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All are acknowledged.
    All,
    /// One is not, for this reason.
    Failed(RDKafkaErrorCode),
    /// Some are not yet.
    Late,
}

impl Deliveries {
    /// A new transaction of this many records.
    pub(super) fn expect(&self, records: usize) {
        *self.lock() = Count { missing: records, failed: None };
    }

    /// Waits for all, or for the first that failed.
    pub(super) fn wait(&self, max: Duration) -> Outcome {
        let waiting = |count: &mut Count| count.missing > 0 && count.failed.is_none();
        let (count, _) = self
            .settled
            .wait_timeout_while(self.lock(), max, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match *count {
            Count { failed: Some(code), .. } => Outcome::Failed(code),
            Count { missing: 0, .. } => Outcome::All,
            Count { .. } => Outcome::Late,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut count = self.lock();
        count.missing = count.missing.saturating_sub(1);
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            count.failed.get_or_insert(code);
        }
        if count.missing == 0 || count.failed.is_some() {
            self.settled.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_known_when_all_are_settled_or_one_has_failed() {
        let deliveries = Deliveries::default();
        assert_eq!(deliveries.wait(Duration::ZERO), Outcome::All);
        deliveries.expect(2);
        assert_eq!(deliveries.wait(Duration::ZERO), Outcome::Late);
        deliveries.lock().failed = Some(RDKafkaErrorCode::MessageTimedOut);
        let failed = Outcome::Failed(RDKafkaErrorCode::MessageTimedOut);
        assert_eq!(deliveries.wait(Duration::ZERO), failed);
        deliveries.expect(1);
        assert_eq!(
            deliveries.wait(Duration::ZERO),
            Outcome::Late,
            "a new transaction, a new count"
        );
    }
}
