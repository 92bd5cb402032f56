//! Time, randomness and tasks are injected: the same engine runs on tokio and in a simulation.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{CauseId, EventId, SagaId};

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This much later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This much earlier; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` until this; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with microseconds, as in `ce_time`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        chrono::DateTime::from_timestamp_micros(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The clock of an engine.
///
/// `now` need not be monotonic: nothing in the protocol rests on it (epochs and leases do not).
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time.
    fn now(&self) -> Timestamp;
    /// Resolves after `duration` by this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Starts background tasks.
pub trait Spawner: Send + Sync + fmt::Debug + 'static {
    /// Runs `task` until it ends. The name is for people.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
}

/// What an engine needs from its surroundings besides a store and a log.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Tasks.
    pub spawner: Arc<dyn Spawner>,
    /// Ids and jitter.
    pub entropy: Entropy,
}

impl Runtime {
    /// The wall clock, tokio's tasks, and randomness from the operating system.
    ///
    /// Its tasks must be started inside a tokio runtime with the time driver on.
    #[must_use]
    pub fn tokio() -> Self {
        let mut seed = [0; 32];
        rand::rng().fill_bytes(&mut seed);
        Self {
            clock: Arc::new(TokioClock),
            spawner: Arc::new(TokioSpawner),
            entropy: Entropy::from_seed_bytes(seed),
        }
    }

    /// As [`tokio`](Self::tokio), with ids and jitter from a seed.
    #[must_use]
    pub fn tokio_seeded(seed: u64) -> Self {
        Self { entropy: Entropy::seeded(seed), ..Self::tokio() }
    }

    /// A new UUIDv7 from this clock and this randomness.
    #[must_use]
    pub fn new_uuid(&self) -> Uuid {
        let millis = u64::try_from(self.clock.now().0 / 1000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.entropy.bytes()).into_uuid()
    }

    /// A new event id.
    #[must_use]
    pub fn new_event_id(&self) -> EventId {
        EventId(self.new_uuid())
    }

    /// A new saga id.
    #[must_use]
    pub fn new_saga_id(&self) -> SagaId {
        SagaId(self.new_uuid())
    }

    /// A new cause id.
    #[must_use]
    pub fn new_cause_id(&self) -> CauseId {
        CauseId(self.new_uuid())
    }
}

/// Random bytes for ids and jitter, reproducible from a seed.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// Reproducible randomness.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Randomness from 32 bytes of seed.
    #[must_use]
    pub fn from_seed_bytes(seed: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_seed(seed))))
    }

    /// Ten random bytes, as a UUIDv7 needs.
    #[must_use]
    pub fn bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.lock().fill_bytes(&mut bytes);
        bytes
    }

    /// A random number below `bound`; 0 when `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.lock().next_u64() % bound }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[derive(Debug)]
struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp(chrono::Utc::now().timestamp_micros())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug)]
struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}
