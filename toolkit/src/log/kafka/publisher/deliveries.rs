//! Counts what the brokers have acknowledged. The polling thread counts, the publisher's thread waits.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    error::RDKafkaErrorCode,
    message::{DeliveryResult, Message as _},
    producer::ProducerContext,
};

use crate::log::kafka::context;

/// The last offset that was acknowledged in each partition.
///
/// A partition that has lost its end gives out offsets once more. Brokers see that by the producer's sequence, as
/// long as they still know of the producer there: in a topic that was made again they do not, and take whatever comes
/// next, behind a gap.
#[derive(Debug, Default)]
struct Ends(HashMap<i32, i64>);

impl Ends {
    /// Notes one more; false when the partition has had that offset before.
    fn go_on(&mut self, partition: i32, offset: i64) -> bool {
        let end = self.0.entry(partition).or_insert(-1);
        let goes_on = offset > *end;
        *end = offset.max(*end);
        goes_on
    }
}

#[derive(Debug, Default)]
struct Count {
    missing: usize,
    failed: Option<Failure>,
    ends: Ends,
}

impl Count {
    /// One more record is settled.
    fn settle(&mut self, failed: Option<Failure>) {
        self.missing = self.missing.saturating_sub(1);
        self.failed = self.failed.or(failed);
    }

    fn is_settled(&self) -> bool {
        self.missing == 0 || self.failed.is_some()
    }
}

/// Why a record is not where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was refused.
    Refused(RDKafkaErrorCode),
    /// It has an offset that was given out before: its partition has lost its end.
    EndLost(i32),
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
    Failed(Failure),
    /// Some are not yet.
    Late,
}

impl Deliveries {
    /// A new transaction of this many records.
    pub(super) fn expect(&self, records: usize) {
        let mut count = self.lock();
        (count.missing, count.failed) = (records, None);
    }

    /// Waits for all, or for the first that failed.
    pub(super) fn wait(&self, max: Duration) -> Outcome {
        let waiting = |count: &mut Count| !count.is_settled();
        let (count, _) = self
            .settled
            .wait_timeout_while(self.lock(), max, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match *count {
            Count { failed: Some(failure), .. } => Outcome::Failed(failure),
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
        let failed = match result {
            // One that was sent twice may be acknowledged without its offset.
            Ok(message) if message.offset() >= 0 => {
                let goes_on = count.ends.go_on(message.partition(), message.offset());
                (!goes_on).then_some(Failure::EndLost(message.partition()))
            }
            Ok(_) => None,
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                Some(Failure::Refused(code))
            }
        };
        count.settle(failed);
        if count.is_settled() {
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
        let refused = Failure::Refused(RDKafkaErrorCode::MessageTimedOut);
        deliveries.lock().settle(Some(refused));
        deliveries.lock().settle(None);
        assert_eq!(deliveries.wait(Duration::ZERO), Outcome::Failed(refused));
        deliveries.expect(1);
        assert_eq!(
            deliveries.wait(Duration::ZERO),
            Outcome::Late,
            "a new transaction, a new count"
        );
    }

    #[test]
    fn a_partition_that_gives_out_an_offset_again_has_lost_its_end() {
        let mut ends = Ends::default();
        for (partition, offset, goes_on) in [
            (0, 4, true),
            (0, 5, true),
            (1, 0, true),
            (0, 7, true),
            (0, 7, false),
            (0, 6, false),
            (1, 1, true),
        ] {
            assert_eq!(ends.go_on(partition, offset), goes_on, "{partition} {offset}");
        }
    }
}
