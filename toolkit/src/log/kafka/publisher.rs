//! A transactional producer of one epoch, on a thread of its own.
//!
//! The calls of a transaction block, and so does dropping a producer. When the publisher is dropped, or a
//! transaction is in doubt, the thread ends and takes the producer with it (P7).

mod deliveries;

use std::{
    fmt,
    sync::{Arc, mpsc as blocking},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use deliveries::{Deliveries, Failure};
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{BaseRecord, Producer, ThreadedProducer},
    util::Timeout,
};
use tokio::sync::oneshot;

use super::{
    config::KafkaConfig,
    convert,
    error::{describe, is_fenced, is_fencing, unavailable, unavailable_because},
};
use crate::{
    id::Lane,
    log::{Doubt, Headers, LogError, NewRecord, Publisher},
    runtime::Timestamp,
};

/// The last of a transaction's records is acknowledged, and librdkafka has yet to forget it: this often is
/// asked without sleeping, …
const DRAIN_SPINS: u32 = 200;
/// … and then with this sleep.
const DRAIN_SLEEP: Duration = Duration::from_micros(50);

type Transactional = ThreadedProducer<Deliveries>;

/// What stands in a partition in which something hung: for people who read what is not committed.
const PLACEHOLDER: &[u8] = b"aborts a hanging transaction";

/// One transaction.
struct Order {
    records: Vec<NewRecord>,
    ending: Ending,
}

#[derive(Clone, Copy)]
enum Ending {
    Commit,
    Abort,
}

/// Where the outcome goes.
type Answer = oneshot::Sender<Result<(), Doubt>>;

struct KafkaPublisher {
    id: String,
    /// At most one order is under way: `publish` takes the publisher.
    orders: blocking::SyncSender<(Order, Answer)>,
    answer_max: Duration,
    rest: Duration,
}

impl fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaPublisher {}", self.id)
    }
}

/// Takes a new epoch of the id: what an earlier publisher left open is ended, and it is fenced.
pub(super) async fn open(
    config: &Arc<KafkaConfig>,
    id: &str,
    topic: &str,
    record_bytes_max: usize,
) -> Result<Box<dyn Publisher>, LogError> {
    let (orders, inbox) = blocking::sync_channel(1);
    let (opened, open) = oneshot::channel();
    let settings = config.producer(id, record_bytes_max);
    let (init_timeout, drain_max) = (config.limits.init_timeout, config.limits.transaction_timeout);
    let (thread_id, topic) = (id.to_owned(), topic.to_owned());
    thread::Builder::new()
        .name("kafka-publisher".into())
        .spawn(move || match start(&settings, &thread_id, init_timeout) {
            Ok(producer) => {
                if opened.send(Ok(())).is_ok() {
                    Shift { producer, topic, drain_max }.serve(&inbox);
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        })
        .map_err(|error| unavailable_because(format!("cannot start a thread: {error}")))?;
    // A thread that ends without a word has panicked; its text is in the log.
    open.await.unwrap_or_else(|_| Err(unavailable_because("the publisher's thread broke")))?;
    // The first ends the wait for acknowledgements. A commit that has no answer after the second was aborted
    // by the coordinator, or decided, and librdkafka still waits: the next epoch will tell.
    let answer_max = config.limits.delivery_timeout + config.limits.transaction_timeout;
    let rest = config.limits.commit_rest;
    Ok(Box::new(KafkaPublisher { id: id.to_owned(), orders, answer_max, rest }))
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(
        self: Box<Self>,
        records: Vec<NewRecord>,
    ) -> Result<Box<dyn Publisher>, Doubt> {
        if records.is_empty() {
            return Ok(self);
        }
        self.order(Order { records, ending: Ending::Commit }).await
    }

    fn rest(&self) -> Duration {
        self.rest
    }

    async fn abort_hanging(self: Box<Self>, lanes: &[Lane]) -> Result<(), Doubt> {
        if lanes.is_empty() {
            return Ok(());
        }
        // Librdkafka adds a partition to a transaction with its first record. Nobody ever reads this one, except
        // who reads what is not committed.
        let placeholder = |lane: &Lane| NewRecord {
            lane: *lane,
            key: Bytes::new(),
            value: Bytes::from_static(PLACEHOLDER),
            headers: Headers::default(),
            time: Timestamp::default(),
        };
        let records = lanes.iter().map(placeholder).collect();
        self.order(Order { records, ending: Ending::Abort }).await.map(drop)
    }
}

impl KafkaPublisher {
    async fn order(self: Box<Self>, order: Order) -> Result<Box<dyn Publisher>, Doubt> {
        let (answer, answered) = oneshot::channel();
        // Never full: the one who sends has the only publisher, and its last order was answered.
        if self.orders.try_send((order, answer)).is_err() {
            return Err(doubt("the publisher's thread is gone"));
        }
        match tokio::time::timeout(self.answer_max, answered).await {
            Ok(Ok(Ok(()))) => Ok(self),
            Ok(Ok(Err(doubt))) => Err(doubt),
            Ok(Err(_)) => Err(doubt("the publisher's thread broke")),
            Err(_) => Err(doubt("no outcome in time")),
        }
    }
}

fn doubt(reason: impl Into<String>) -> Doubt {
    Doubt { reason: reason.into(), fenced: false }
}

fn start(
    settings: &ClientConfig,
    id: &str,
    init_timeout: Duration,
) -> Result<Transactional, LogError> {
    let producer: Transactional = settings
        .create_with_context(Deliveries::default())
        .map_err(|error| unavailable("cannot make a producer", &error))?;
    match producer.init_transactions(init_timeout) {
        Ok(()) => Ok(producer),
        Err(error) if is_fenced(&error) => Err(LogError::Fenced(id.to_owned())),
        Err(error) => Err(unavailable(&format!("cannot get an epoch for {id}"), &error)),
    }
}

/// The life of a producer: one transaction after the other, until one is in doubt or nobody asks for more.
struct Shift {
    producer: Transactional,
    topic: String,
    drain_max: Duration,
}

impl Shift {
    fn serve(self, orders: &blocking::Receiver<(Order, Answer)>) {
        while let Ok((order, answer)) = orders.recv() {
            let result = self.transaction(&order);
            let over = result.is_err();
            // Whoever asked may have gone; then the publisher is gone as well.
            if answer.send(result).is_err() || over {
                return;
            }
        }
    }

    fn transaction(&self, Order { records, ending }: &Order) -> Result<(), Doubt> {
        self.producer.begin_transaction().map_err(|error| self.in_doubt("begin", &error))?;
        let deliveries = self.producer.client().context();
        deliveries.expect(records.len());
        for record in records {
            self.send(record).map_err(|error| self.in_doubt("produce", &error))?;
        }
        self.delivered()?;
        // Without end, as librdkafka wants it: the transaction's own time-out bounds it.
        let (what, ended) = match ending {
            Ending::Commit => ("commit", self.producer.commit_transaction(Timeout::Never)),
            Ending::Abort => ("abort", self.producer.abort_transaction(Timeout::Never)),
        };
        ended.map_err(|error| self.in_doubt(what, &error))
    }

    fn send(&self, record: &NewRecord) -> Result<(), KafkaError> {
        let message = BaseRecord::<[u8], [u8]>::to(&self.topic)
            .partition(convert::partition(record.lane))
            .key(&record.key)
            .payload(&record.value)
            .timestamp(record.time.0.div_euclid(1000));
        let message = if record.headers.is_empty() {
            message
        } else {
            message.headers(convert::headers(&record.headers))
        };
        self.producer.send(message).map_err(|(error, _)| error)
    }

    /// Waits until every record is acknowledged and forgotten: the commit of rdkafka 0.39 takes 100 ms when
    /// one is still counted.
    fn delivered(&self) -> Result<(), Doubt> {
        let deliveries = self.producer.client().context();
        match deliveries.wait(self.drain_max) {
            deliveries::Outcome::All => {}
            deliveries::Outcome::Failed(Failure::Refused(code)) => {
                return Err(self.in_doubt("deliver", &KafkaError::MessageProduction(code)));
            }
            deliveries::Outcome::Failed(Failure::EndLost(partition)) => {
                return Err(doubt(format!(
                    "partition {partition} has given out an offset again: it has lost its end, or its topic was made again"
                )));
            }
            deliveries::Outcome::Late => {
                return Err(doubt("records were not acknowledged in time"));
            }
        }
        let mut asked = 0u32;
        while self.producer.in_flight_count() > 0 {
            if asked < DRAIN_SPINS {
                thread::yield_now();
            } else {
                thread::sleep(DRAIN_SLEEP);
            }
            asked += 1;
            if DRAIN_SLEEP.saturating_mul(asked) > self.drain_max {
                return Err(doubt("the producer does not drain"));
            }
        }
        Ok(())
    }

    fn in_doubt(&self, what: &str, error: &KafkaError) -> Doubt {
        // After a fatal error each call only says that there was one; the first tells which.
        let fatal = self.producer.client().fatal_error();
        let fenced = is_fenced(error) || fatal.as_ref().is_some_and(|(code, _)| is_fencing(*code));
        let reason = fatal.map_or_else(|| describe(error), |(_, text)| text);
        Doubt { reason: format!("{what}: {reason}"), fenced }
    }
}
