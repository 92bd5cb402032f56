//! An engine that can be killed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use quadrille::{
    Service,
    engine::{Client, Config, Engine, Running},
    log::memory::MemoryLog,
    runtime::{BoxFuture, Runtime, Spawner},
    store::EventStore,
};
use tokio::task::JoinHandle;

#[derive(Debug)]
pub(crate) struct Instance<S: Service> {
    pub(crate) client: Client<S>,
    running: Running<S>,
    tasks: Arc<Tasks>,
}

impl<S: Service> Instance<S> {
    pub(crate) async fn start(
        service: S,
        store: Arc<dyn EventStore>,
        log: &MemoryLog,
        config: Config,
    ) -> Self {
        let tasks = Arc::new(Tasks::default());
        let runtime = Runtime { spawner: tasks.clone(), ..Runtime::tokio() };
        let engine = Engine::new(service, store, Arc::new(log.clone()), config).runtime(runtime);
        let running = engine.start().await.expect("the engine starts");
        Self { client: running.client(), running, tasks }
    }

    /// As a process that is killed: nothing is finished, nothing is given back. A call to the gateway that is
    /// under way loses its caller.
    pub(crate) async fn kill(self) {
        let tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn shutdown(self) {
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
