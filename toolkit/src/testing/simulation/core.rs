//! What everything in one run shares.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    chance::{Dice, StableHash},
    executor::{Executor, GroupId, Schedule, WORLD},
    faults::Fault,
    outside::Places,
    plan::{Plan, Site, Source},
    report::Broken,
    trace::{Detail, Trace},
    tries::Tries,
    witness::Witness,
};
use crate::{
    log::{
        Subscription,
        memory::{MemoryLog, MemoryLogOptions, ProducerEpoch},
    },
    runtime::{BoxFuture, Clock, Spawner, Timestamp},
    store::memory::MemoryStore,
};

/// The first moment of every run: 2030-01-01.
pub(super) const START: Timestamp = Timestamp(1_893_456_000_000_000);

/// One service of the run.
#[derive(Debug)]
pub(super) struct ServiceCore {
    pub(super) name: &'static str,
    pub(super) topic: Arc<str>,
    pub(super) group: Arc<str>,
    pub(super) lanes: u32,
    pub(super) store: MemoryStore,
}

/// An instance that is to be started: service and number.
pub(super) type Seat = (usize, usize);

pub(super) struct Core {
    pub(super) seed: u64,
    pub(super) exec: Executor,
    pub(super) log: MemoryLog,
    pub(super) services: Vec<ServiceCore>,
    /// Every message takes the same time, and the oldest task runs first.
    pub(super) calm: bool,
    pub(super) times: Times,
    /// Raised by whatever may change what anyone does next; by polls that find nothing new it is not.
    changes: AtomicU64,
    plan: Mutex<Plan>,
    trace: Mutex<Trace>,
    witness: Mutex<Witness>,
    counters: Mutex<HashMap<(Arc<str>, &'static str), u32>>,
    broken: Mutex<Option<Broken>>,
    /// Subscriptions of the dead: dropped at the end, for a crash gives nothing back.
    graveyard: Mutex<Vec<Box<dyn Subscription>>>,
    /// Instances that are to start now.
    boots: Mutex<Vec<Seat>>,
    /// Instances that have died since someone looked.
    deaths: Mutex<Vec<Seat>>,
    /// The newest epoch of each transactional id.
    epochs: Mutex<BTreeMap<Arc<str>, u64>>,
    /// How often a topic has lost what its producers had written.
    log_breaks: Mutex<BTreeMap<Arc<str>, u64>>,
    outages: Mutex<BTreeMap<usize, Timestamp>>,
    /// Commands that wait for their answer.
    pub(super) asking: AtomicU64,
    /// What is still to arrive outside, or from there.
    pub(super) on_their_way: AtomicU64,
    pub(super) places: Places,
    tries: Mutex<Tries>,
    /// Requests that end a transaction and are still on their way: whether they commit.
    late_ends: Mutex<BTreeMap<(Arc<str>, u64), bool>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core of seed {}", self.seed)
    }
}

/// How a run is to be.
#[derive(Clone, Debug)]
pub(super) struct Mode {
    pub(super) source: Source,
    pub(super) calm: bool,
    pub(super) detail: Detail,
    /// What takes time takes as little as it can.
    pub(super) brief: bool,
    pub(super) occasions: bool,
}

/// How long the world waits before it acts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// How long a group waits for a silent member before it puts it out.
    pub(super) session: Duration,
    /// A transaction that is open for longer is aborted by the broker, which raises the epoch.
    pub(super) transaction: Duration,
    /// How long after the last fault something may still be on its way: a late append, a late end.
    pub(super) settle: Duration,
    /// All that is drawn is at most this, in milliseconds.
    some_max: u64,
}

impl Times {
    const USUAL: Self = Self {
        session: Duration::from_secs(6),
        transaction: Duration::from_secs(8),
        settle: Duration::from_secs(20),
        some_max: u64::MAX,
    };
    const BRIEF: Self = Self {
        session: Duration::from_millis(400),
        transaction: Duration::from_millis(600),
        settle: Duration::from_millis(1_500),
        some_max: 250,
    };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(super) fn new(
        seed: u64,
        mode: &Mode,
        services: impl FnOnce(&Executor) -> Vec<ServiceCore>,
    ) -> Arc<Self> {
        let schedule =
            if mode.calm { Schedule::Calm } else { Schedule::Random(Dice::of(seed, "order", 0)) };
        let exec = Executor::new(START, schedule);
        let mut plan = Plan::new(seed, mode.source.clone());
        plan.occasions = mode.occasions.then(super::plan::Occasions::default);
        let services = services(&exec);
        let identity = Some(seed);
        Arc::new(Self {
            seed,
            log: MemoryLog::new(MemoryLogOptions { identity, ..MemoryLogOptions::default() }),
            witness: Mutex::new(Witness::new(services.len())),
            services,
            exec,
            calm: mode.calm,
            times: if mode.brief { Times::BRIEF } else { Times::USUAL },
            changes: AtomicU64::new(0),
            plan: Mutex::new(plan),
            trace: Mutex::new(Trace::new(START, mode.detail)),
            counters: Mutex::default(),
            broken: Mutex::default(),
            graveyard: Mutex::default(),
            boots: Mutex::default(),
            deaths: Mutex::default(),
            epochs: Mutex::default(),
            log_breaks: Mutex::default(),
            outages: Mutex::default(),
            asking: AtomicU64::new(0),
            on_their_way: AtomicU64::new(0),
            places: Places::default(),
            tries: Mutex::default(),
            late_ends: Mutex::default(),
        })
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    pub(super) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    pub(super) fn witness(&self) -> MutexGuard<'_, Witness> {
        lock(&self.witness)
    }

    pub(super) fn tries(&self) -> MutexGuard<'_, Tries> {
        lock(&self.tries)
    }

    pub(super) fn graveyard(&self) -> MutexGuard<'_, Vec<Box<dyn Subscription>>> {
        lock(&self.graveyard)
    }

    /// The next occasion of a kind at a place.
    pub(super) fn site(&self, place: &Arc<str>, op: &'static str) -> Site {
        let mut counters = lock(&self.counters);
        let nth = counters.entry((place.clone(), op)).or_default();
        *nth += 1;
        Site { place: place.clone(), op: op.into(), nth: *nth }
    }

    /// Whether something goes wrong here, and what.
    pub(super) fn decide(&self, site: &Site, possible: &[Fault]) -> Option<Fault> {
        let changes = self.changes.load(Ordering::Relaxed);
        let fault = self.plan().decide(site, possible, changes)?;
        self.note(&site.place, fault.name(), u64::from(site.nth));
        self.tell(&site.place, || format!("✗ {fault} at {}#{}", site.op, site.nth));
        Some(fault)
    }

    /// Takes something into the hash of the run.
    pub(super) fn note(&self, place: &str, what: &str, number: u64) {
        let now = self.exec.now();
        self.trace().hash(now, place, what, number);
    }

    /// A line of the timeline.
    pub(super) fn tell(&self, place: &str, text: impl FnOnce() -> String) {
        let now = self.exec.now();
        self.trace().tell(Detail::Story, now, place, text);
    }

    /// A line of the timeline that only a reader of every call wants.
    pub(super) fn tell_call(&self, place: &str, text: impl FnOnce() -> String) {
        let now = self.exec.now();
        self.trace().tell(Detail::Calls, now, place, text);
    }

    /// The first thing that is wrong is what counts.
    pub(super) fn fail(&self, broken: Broken) {
        self.tell("world", || format!("✗✗ {broken}"));
        lock(&self.broken).get_or_insert(broken);
    }

    pub(super) fn broken(&self) -> Option<Broken> {
        lock(&self.broken).clone()
    }

    /// How long a message takes on its way.
    pub(super) fn latency(&self, site: &Site, leg: &str) -> Duration {
        if self.calm {
            return Duration::from_micros(500);
        }
        let mut dice = site.dice(self.seed, leg);
        let micros = match dice.below(40) {
            0 => dice.between(5_000, 150_000),
            _ => dice.between(50, 1_500),
        };
        Duration::from_micros(micros)
    }

    /// Some time, in milliseconds, that belongs to a place.
    pub(super) fn some_time(&self, site: &Site, what: &str, low: u64, high: u64) -> Duration {
        let drawn = site.dice(self.seed, what).between(low, high);
        Duration::from_millis(drawn.min(self.times.some_max))
    }

    /// Does something later, in the world outside.
    pub(super) fn later(&self, after: Duration, what: impl FnOnce() + Send + 'static) {
        let sleep = self.exec.sleep(after);
        self.exec.spawn(
            WORLD,
            Box::pin(async move {
                sleep.await;
                what();
            }),
        );
    }

    /// Does something later, before which it is not quiet.
    pub(super) fn arrive_later(
        self: &Arc<Self>,
        after: Duration,
        what: impl FnOnce() + Send + 'static,
    ) {
        let core = self.clone();
        core.on_their_way.fetch_add(1, Ordering::Relaxed);
        self.later(after, move || {
            core.changed();
            what();
            core.on_their_way.fetch_sub(1, Ordering::Relaxed);
        });
    }

    pub(super) fn boot_later(self: &Arc<Self>, seat: Seat, after: Duration) {
        let core = self.clone();
        self.later(after, move || lock(&core.boots).push(seat));
    }

    pub(super) fn take_boots(&self) -> Vec<Seat> {
        std::mem::take(&mut *lock(&self.boots))
    }

    /// Something happened on which others may act.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn died(&self, seat: Seat) {
        lock(&self.deaths).push(seat);
    }

    pub(super) fn take_deaths(&self) -> Vec<Seat> {
        std::mem::take(&mut *lock(&self.deaths))
    }

    /// A new producer of a transactional id.
    pub(super) fn open_producer(&self, id: &str) -> ProducerEpoch {
        let producer = self.log.init_producer(id);
        lock(&self.epochs).insert(producer.transactional_id.clone(), producer.epoch);
        producer
    }

    /// The end of a transaction that is on its way for this epoch: puts one there, or takes it.
    pub(super) fn late_end(&self, producer: &ProducerEpoch, put: Option<bool>) -> Option<bool> {
        let (mut ends, epoch) =
            (lock(&self.late_ends), (producer.transactional_id.clone(), producer.epoch));
        match put {
            Some(commit) => ends.insert(epoch, commit),
            None => ends.remove(&epoch),
        }
    }

    pub(super) fn is_newest(&self, producer: &ProducerEpoch) -> bool {
        lock(&self.epochs).get(&producer.transactional_id) == Some(&producer.epoch)
    }

    pub(super) fn log_breaks(&self, topic: &str) -> u64 {
        lock(&self.log_breaks).get(topic).copied().unwrap_or(0)
    }

    pub(super) fn break_log(&self, topic: &Arc<str>) {
        *lock(&self.log_breaks).entry(topic.clone()).or_default() += 1;
    }

    /// The service's store does not answer before `until`.
    pub(super) fn begin_outage(&self, service: usize, until: Timestamp) {
        lock(&self.outages).insert(service, until);
    }

    pub(super) fn is_out(&self, service: usize) -> bool {
        lock(&self.outages).get(&service).is_some_and(|until| self.exec.now() < *until)
    }

    /// The hash of all that happened.
    pub(super) fn hash(&self) -> u64 {
        let mut hash = StableHash::new();
        hash.number(self.trace().value());
        hash.number(self.witness().hash());
        hash.value()
    }
}

/// The clock of one instance: it may jump, while waiting takes as long as it takes.
#[derive(Debug)]
pub(super) struct SimClock {
    exec: Executor,
    offset_micros: AtomicI64,
}

impl SimClock {
    pub(super) fn new(exec: Executor) -> Self {
        Self { exec, offset_micros: AtomicI64::new(0) }
    }

    /// It shows the time of everyone again.
    pub(super) fn set_right(&self) {
        self.offset_micros.store(0, Ordering::Relaxed);
    }

    pub(super) fn jump(&self, micros: i64) {
        self.offset_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.exec.now().0.saturating_add(self.offset_micros.load(Ordering::Relaxed)))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.exec.sleep(duration))
    }
}

/// Tasks of one incarnation.
#[derive(Debug)]
pub(super) struct SimSpawner {
    pub(super) exec: Executor,
    pub(super) group: GroupId,
}

impl Spawner for SimSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.exec.spawn(self.group, task);
    }
}
