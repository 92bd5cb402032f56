//! Engines that can be killed, and a clock that can be put forward.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use quadrille::{
    Service,
    engine::{Client, Config, Engine, Running},
    log::memory::MemoryLog,
    runtime::{BoxFuture, Clock, Runtime, Spawner, Timestamp},
    store::EventStore,
};
use tokio::task::JoinHandle;

/// The clock on the wall, put forward by so many microseconds.
#[derive(Debug, Default)]
pub struct Ahead(AtomicI64);

impl Ahead {
    /// Nothing that is due at `to` is still to come.
    pub fn put_forward(&self, to: Timestamp) {
        let missing = (to.0 - self.now().0).max(0);
        self.0.fetch_add(missing, Ordering::Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(Runtime::tokio().clock.now().0 + self.0.load(Ordering::Relaxed))
    }

    /// By the wall: so a time-out does not come early.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

pub struct Instance<S: Service> {
    pub client: Client<S>,
    running: Running<S>,
    tasks: Arc<Tasks>,
}

impl<S: Service> Instance<S> {
    pub async fn start(
        service: S,
        store: Arc<dyn EventStore>,
        log: &MemoryLog,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut config = Config::new("test");
        config.lanes = 2;
        config.instance = Some("one".to_owned());
        config.limits.agenda_poll_every = Duration::from_millis(2);
        // What is read of a notification must not depend on what was saved of it.
        config.limits.snapshot_every_events = 2;
        let tasks = Arc::new(Tasks::default());
        let runtime = Runtime { spawner: tasks.clone(), clock, ..Runtime::tokio() };
        let engine = Engine::new(service, store, Arc::new(log.clone()), config).runtime(runtime);
        let running = engine.start().await.expect("the engine starts");
        Self { client: running.client(), running, tasks }
    }

    /// As a process that is killed: nothing is finished, nothing is given back.
    pub async fn kill(self) {
        let tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    pub async fn shutdown(self) {
        assert!(self.running.shutdown(Duration::from_secs(20)).await, "it drains");
    }
}

/// Tokio's tasks, remembered.
#[derive(Debug, Default)]
struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Spawner for Tasks {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        let mut tasks = self.0.lock().unwrap();
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(task));
    }
}
