//! A transactional producer by hand: a polling thread, and a wait for all acknowledgements before the commit,
//! without which rdkafka's commit takes 100 ms.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use rdkafka::{
    ClientConfig, ClientContext,
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
    util::Timeout,
};

const LIMIT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Acknowledged {
    count: Mutex<(usize, bool)>,
    all: Condvar,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.0 -= 1;
        count.1 |= result.is_err();
        if count.0 == 0 {
            self.all.notify_one();
        }
    }
}

/// A record to publish.
pub(crate) struct Record<'a> {
    pub(crate) partition: i32,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) headers: OwnedHeaders,
    /// Milliseconds since 1970.
    pub(crate) time: i64,
}

/// A transactional producer; its calls block.
pub(crate) struct Producer {
    inner: ThreadedProducer<Acknowledged>,
    topic: String,
}

impl Producer {
    /// With the settings that the toolkit uses for its own.
    pub(crate) fn open(kafka: &str, id: &str, topic: &str) -> Result<Self> {
        let inner: ThreadedProducer<Acknowledged> = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("transactional.id", id)
            .set("transaction.timeout.ms", "10000")
            .set("message.timeout.ms", "8000")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("batch.size", "900000")
            .create_with_context(Acknowledged::default())?;
        inner.init_transactions(LIMIT)?;
        Ok(Self { inner, topic: topic.to_owned() })
    }

    /// One transaction.
    pub(crate) fn publish<'a>(
        &self,
        records: impl ExactSizeIterator<Item = Record<'a>>,
    ) -> Result<()> {
        self.inner.begin_transaction()?;
        let acknowledged = self.inner.client().context();
        let count = || acknowledged.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count() = (records.len(), false);
        for record in records {
            let message = BaseRecord::<[u8], [u8]>::to(&self.topic)
                .partition(record.partition)
                .key(record.key)
                .payload(record.payload)
                .headers(record.headers)
                .timestamp(record.time);
            self.inner.send(message).map_err(|(error, _)| error)?;
        }
        let (count, _) = acknowledged
            .all
            .wait_timeout_while(count(), LIMIT, |count| count.0 > 0)
            .unwrap_or_else(PoisonError::into_inner);
        if count.0 > 0 || count.1 {
            bail!("records were not acknowledged");
        }
        drop(count);
        while self.inner.in_flight_count() > 0 {
            std::thread::yield_now();
        }
        Ok(self.inner.commit_transaction(Timeout::Never)?)
    }
}
