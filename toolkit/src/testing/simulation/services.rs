//! The services of a simulation, without their types.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{log::SimLog, mishaps, node::Node, outside::Outside, store::SimStore};
use crate::{
    choreography::ServiceDescription,
    effect::Performers,
    engine::{Client, Config, Engine, Health, Running, StartError},
    runtime::BoxFuture,
    service::Service,
};

/// A running instance.
pub(super) trait Instance: Send {
    fn health(&self) -> Health;
    /// Its [`Client`].
    fn client(&self) -> Arc<dyn Any + Send + Sync>;
    fn shutdown(self: Box<Self>, within: Duration) -> BoxFuture<'static, bool>;
}

struct Engined<S: Service> {
    running: Running<S>,
    client: Arc<Client<S>>,
}

impl<S: Service> Instance for Engined<S> {
    fn health(&self) -> Health {
        self.client.health()
    }

    fn client(&self) -> Arc<dyn Any + Send + Sync> {
        self.client.clone()
    }

    fn shutdown(self: Box<Self>, within: Duration) -> BoxFuture<'static, bool> {
        Box::pin(self.running.shutdown(within))
    }
}

type Started = BoxFuture<'static, Result<Box<dyn Instance>, StartError>>;
type Start = dyn Fn(Node, Config, Performers) -> Started + Send + Sync;
type StandIns = dyn Fn(&Outside) -> Performers + Send + Sync;

/// A service that can be started.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) type_id: TypeId,
    pub(super) instances: usize,
    /// The services whose events it consumes, when their declarations say so.
    pub(super) sources: Vec<&'static str>,
    /// The types that it consumes, sorted.
    pub(super) consumes: Vec<String>,
    start: Arc<Start>,
    /// Who performs its effects, instead of its own performers.
    pub(super) performers: Option<Arc<StandIns>>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.name, self.instances)
    }
}

impl Kind {
    pub(super) fn of<S, F>(instances: usize, make: F) -> Self
    where
        S: Service,
        F: Fn(&Outside) -> S + Send + Sync + 'static,
    {
        let start = move |node: Node, config: Config, performers: Performers| -> Started {
            let service = make(&Outside::of(node.clone()));
            Box::pin(async move {
                let (store, log) = (SimStore::new(node.clone()), SimLog::new(node.clone()));
                let engine = Engine::new(service, Arc::new(store), Arc::new(log), config);
                let engine = engine.standing_in(performers).accidents(mishaps::of(&node));
                let running = engine.runtime(node.runtime()).start().await?;
                let client = Arc::new(running.client());
                Ok(Box::new(Engined { running, client }) as Box<dyn Instance>)
            })
        };
        Self {
            name: S::NAME,
            type_id: TypeId::of::<S>(),
            instances,
            sources: sources::<S>(),
            consumes: consumes::<S>(),
            start: Arc::new(start),
            performers: None,
        }
    }

    /// Starts one life of an instance.
    pub(super) fn start(&self, node: Node, config: Config) -> Started {
        let outside = Outside::of(node.clone());
        let performers = self.performers.as_ref().map(|make| make(&outside));
        (self.start)(node, config, performers.unwrap_or_default())
    }
}

fn sources<S: Service>() -> Vec<&'static str> {
    let description = ServiceDescription::of::<S>();
    let handled = description.handlers.iter().map(|handler| handler.consumes.source);
    let because = description.undos.iter().flat_map(|undo| undo.because.iter().map(|e| e.source));
    let mut sources: Vec<_> = handled.chain(because).flatten().collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

fn consumes<S: Service>() -> Vec<String> {
    let description = ServiceDescription::of::<S>();
    // Deadlines and outcomes of effects do not come from the log.
    let from_log = description.handlers.iter().filter(|handler| handler.consumes.public);
    let handled = from_log.map(|handler| handler.consumes.event_type);
    let because = description.undos.iter().flat_map(|u| u.because.iter().map(|e| e.event_type));
    let mut types: Vec<String> = handled.chain(because).map(str::to_owned).collect();
    types.sort();
    types.dedup();
    types
}
