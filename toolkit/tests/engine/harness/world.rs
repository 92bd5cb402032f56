//! One trial service, or several instances of it, between a store and a log.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use quadrille::{
    alert::DeadLetter,
    engine::{Client, Config, Engine, RetryPolicy, Running, StartError},
    log::{EventLog, TopicSpec, memory::MemoryLog},
    runtime::{BoxFuture, Clock, Runtime, Spawner, Timestamp},
    store::{EventStore, memory::MemoryStore},
    testing::faulty_store::FaultyStore,
};
use tokio::task::JoinHandle;

use super::{Bell, Script, SetStatus, Trial, Upstream};

#[derive(Debug)]
pub struct World {
    pub upstream: Upstream,
    pub store: Arc<FaultyStore<MemoryStore>>,
    pub script: Arc<Script>,
    pub config: Config,
    /// Rung for dead letters, when there is one.
    pub bell: Option<Bell>,
    store_clock: Arc<StoreClock>,
}

impl Deref for World {
    type Target = Upstream;
    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl World {
    /// A world whose topics all have so many lanes.
    pub async fn new(lanes: u32) -> Self {
        Self::with(lanes, |_| {}).await
    }

    pub async fn with(lanes: u32, adapt: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("t");
        config.lanes = lanes;
        config.limits.relay_poll_every = Duration::from_millis(5);
        config.limits.lease_ttl = Duration::from_millis(300);
        config.limits.backoff_first = Duration::from_millis(1);
        config.limits.backoff_last = Duration::from_millis(10);
        config.retry = RetryPolicy::default();
        config.retry.delay_first = Duration::from_millis(2);
        config.retry.delay_max = Duration::from_millis(10);
        config.retry.attempts_max = 4;
        adapt(&mut config);
        let log = MemoryLog::default();
        let upstream = Upstream {
            log: log.clone(),
            lanes,
            namespace: config.namespace.clone(),
            numbers: Mutex::new(BTreeMap::new()),
        };
        for service in ["up", "rival"] {
            let name = upstream.topic(service);
            log.ensure_topic(&TopicSpec { name, lanes, record_bytes_max: 1 << 20 }).await.unwrap();
        }
        let store_clock = Arc::new(StoreClock::default());
        let store = Arc::new(FaultyStore::new(MemoryStore::new(store_clock.clone())));
        Self { upstream, store, script: Arc::default(), config, bell: None, store_clock }
    }

    /// Starts an instance.
    pub async fn start(&self) -> Instance {
        self.try_start(self.config.clone()).await.expect("the engine starts")
    }

    pub async fn start_with(&self, adapt: impl FnOnce(&mut Config)) -> Instance {
        let mut config = self.config.clone();
        adapt(&mut config);
        self.try_start(config).await.expect("the engine starts")
    }

    pub async fn try_start(&self, config: Config) -> Result<Instance, StartError> {
        let log: Arc<dyn EventLog> = Arc::new(self.log.clone());
        self.start_between(self.store.clone(), log, config).await
    }

    /// Whoever has a lease now and does not renew it loses it.
    pub fn leases_expire(&self) {
        self.store_clock.0.fetch_add(3_600_000_000, Ordering::Relaxed);
    }

    /// An instance that has cached what another has changed since: what it decides on "sku" fails at first.
    pub async fn behind(&self) -> (Instance, Instance) {
        let trial = self.start().await;
        let Ok(_) = trial.client.execute("sku", SetStatus("FORBIDDEN")).await.unwrap();
        let other = self.beside().await;
        let Ok(_) = other.client.execute("sku", SetStatus("OPEN")).await.unwrap();
        (trial, other)
    }

    /// Another instance on the same data, which reads no lane, and whom no fault and no hold concerns.
    pub async fn beside(&self) -> Instance {
        let mut config = self.config.clone();
        config.sources = Some(vec![]);
        let store = Arc::new(self.store.inner().clone());
        self.start_between(store, Arc::new(self.log.clone()), config).await.expect("it starts")
    }

    /// Another instance on the same data, whom no fault and no hold concerns, with so many shards.
    pub async fn start_on(&self, store: MemoryStore, shards: u32) -> Instance {
        let mut config = self.config.clone();
        config.shards = shards;
        config.sources = Some(vec![]);
        let log = Arc::new(self.log.clone());
        self.start_between(Arc::new(store), log, config).await.expect("it starts")
    }

    pub async fn start_between(
        &self,
        store: Arc<dyn EventStore>,
        log: Arc<dyn EventLog>,
        config: Config,
    ) -> Result<Instance, StartError> {
        let tasks = Arc::new(Tasks::default());
        let runtime = Runtime { spawner: tasks.clone(), ..Runtime::tokio() };
        let service = Trial { script: self.script.clone() };
        let mut engine = Engine::new(service, store, log, config).runtime(runtime);
        if let Some(bell) = &self.bell {
            engine = engine.performer::<DeadLetter>(bell.clone());
        }
        let running = engine.start().await?;
        Ok(Instance { client: running.client(), running, tasks })
    }
}

/// A running engine that can be killed.
#[derive(Debug)]
pub struct Instance {
    pub client: Client<Trial>,
    running: Running<Trial>,
    tasks: Arc<Tasks>,
}

impl Instance {
    /// As a process that is killed: nothing is finished, nothing is given back.
    pub async fn kill(self) {
        let tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    pub async fn shutdown(self, within: Duration) -> bool {
        self.running.shutdown(within).await
    }
}

/// Tokio's tasks, remembered.
#[derive(Debug, Default)]
struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Spawner for Tasks {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(tokio::spawn(task));
    }
}

/// The clock of the database: microseconds ahead of everyone's.
#[derive(Debug, Default)]
struct StoreClock(AtomicI64);

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        Timestamp(Runtime::tokio().clock.now().0 + self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
