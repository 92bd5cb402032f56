//! The engine: runs one instance of a service between its store and its log.
//!
//! ```text
//! log ──► intake ──► decider ──► one append ──► store ──► relay ──► log
//! commands ──┘                                   └── fresh events ──┘
//! ```

pub(crate) mod accidents;
mod agenda;
mod client;
mod decider;
mod intake;
mod janitor;
mod lanes;
mod limits;
mod pace;
mod relay;
mod signal;
pub(crate) mod status;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use accidents::Accidents;
use agenda::Agenda;
pub use client::{Client, ClientError, CommandKey, Receipt};
use decider::{Decider, Parts};
use intake::{AgendaWays, Intake};
use janitor::Janitor;
use limits::Backoff;
pub use limits::{KEPT_MIN, Limits, RetryPolicy};
#[cfg(any(test, feature = "testing"))]
pub(crate) use relay::pure as relay_plan;
use relay::{Fan, Offered, Relay, shard_of};
use status::Status;
pub use status::{Counters, Health};
use tokio::sync::{mpsc, watch};

use crate::{
    alert::DeadLetter,
    barrier::Dispatch,
    choreography::ServiceDescription,
    effect::{AnyPerformer, Effect, Performer, Performers},
    event::{DomainEvent, EventDescription, EventKind},
    id::Lane,
    log::{EventLog, LogError, TopicSpec, record::ServiceIdentity},
    mutant::{Mutant, broken},
    runtime::Runtime,
    service::Service,
    store::{EventStore, Registration, StartAt, StoreError},
    telemetry::{Parentage, Tracer, Traces},
};

/// How a service is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The first part of every topic, group and transactional id: `<namespace>.<service>.events`.
    pub namespace: String,
    /// The partitions of the service's topic. Fixed when the store is first used.
    pub lanes: u32,
    /// The relay's shards, when the store has none yet; each is one transactional producer.
    pub shards: u32,
    /// The services whose events are read. `None` takes them from the events' declared `source`s.
    pub sources: Option<Vec<String>>,
    /// The topics of services that do not follow `<namespace>.<service>.events`: by the service's name as
    /// the events' `source` has it. For producers that are not ours (P4).
    pub topics: BTreeMap<String, String>,
    /// Where a source that was never read before is started (P3).
    pub start: StartAt,
    /// A name that this instance keeps over restarts, and that no other has at the same time (a pod of a
    /// stateful set). It then takes its own leases back at once, instead of waiting for them to expire.
    /// `None` takes a random one. A name that two instances share costs time, never safety: epochs fence.
    pub instance: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// How failed messages are tried again.
    pub retry: RetryPolicy,
    /// Where spans go.
    pub traces: Traces,
    /// What an event's creation context is to the span that processes it.
    pub parentage: Parentage,
}

impl Config {
    /// The defaults, in a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            lanes: 6,
            shards: 1,
            sources: None,
            topics: BTreeMap::new(),
            start: StartAt::First,
            instance: None,
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            traces: Traces::off(),
            parentage: Parentage::default(),
        }
    }

    /// The topic of a service: by [`topics`](Self::topics), or by convention.
    #[must_use]
    pub fn topic_of(&self, service: &str) -> String {
        self.topics
            .get(service)
            .cloned()
            .unwrap_or_else(|| format!("{}.{service}.events", self.namespace))
    }
}

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store does not answer or does not fit.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log does not answer or does not fit.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The configuration or the service's types are wrong.
    #[error("{0}")]
    Config(String),
}

/// An engine that is to be started.
pub struct Engine<S: Service> {
    service: S,
    store: Arc<dyn EventStore>,
    log: Arc<dyn EventLog>,
    config: Config,
    runtime: Runtime,
    performers: Performers,
    accidents: Accidents,
}

impl<S: Service> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine of {}", S::NAME)
    }
}

impl<S: Service> Engine<S> {
    /// An engine on a store and a log, with tokio's clock and tasks.
    #[must_use]
    pub fn new(
        service: S,
        store: Arc<dyn EventStore>,
        log: Arc<dyn EventLog>,
        config: Config,
    ) -> Self {
        let performers = service.performers();
        let accidents = Accidents::default();
        Self { service, store, log, config, runtime: Runtime::tokio(), performers, accidents }
    }

    /// With other time, tasks and randomness.
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// Carries out the effects of one type with `performer` (P14), instead of the service's own.
    #[must_use]
    pub fn performer<E: Effect>(mut self, performer: impl Performer<E>) -> Self {
        self.performers = self.performers.with::<E>(performer);
        self
    }

    /// With performers that stand in for the service's own, each for its effect.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn standing_in(mut self, performers: Performers) -> Self {
        self.performers = self.performers.overlaid(performers);
        self
    }

    /// With accidents that befall its handlers.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn accidents(mut self, accidents: Accidents) -> Self {
        self.accidents = accidents;
        self
    }

    /// Registers the service with its store, checks its topic, and starts intake and relay.
    ///
    /// # Errors
    /// See [`StartError`]. A port that does not answer is an error here; later it is waited for.
    pub async fn start(self) -> Result<Running<S>, StartError> {
        check(&self.config)?;
        let sources = sources::<S>(&self.config)?;
        let deadlines = timed::<S>(self.performers.all())?;
        let lanes = self.config.lanes;
        let registration =
            Registration { service: S::NAME.to_owned(), lanes, shards: self.config.shards };
        self.store.register(&registration).await?;
        let topic: Arc<str> = self.config.topic_of(S::NAME).into();
        let record_bytes_max = self.config.limits.event_bytes_max + RECORD_OVERHEAD_BYTES;
        self.log.ensure_topic(&TopicSpec { name: topic.clone(), lanes, record_bytes_max }).await?;
        let shards = self.agree_on_shards(&registration, &topic).await?;

        let status = Arc::new(Status::new(shards, self.tracer(&topic)));
        let (jobs_in, jobs) = mpsc::channel(self.config.limits.commands_queued_max.max(1));
        let (stop, shutdown) = watch::channel(false);
        let (flush_now, flush) = watch::channel(false);
        let (ended, ended_seen) = mpsc::channel(1);
        let client = Client {
            jobs: jobs_in,
            store: self.store.clone(),
            status: status.clone(),
            runtime: self.runtime.clone(),
            _service: std::marker::PhantomData,
        };
        let (fresh, receivers) = Fan::new(registration.shards, self.config.limits.relay_fresh_max);
        let relays = self.relays(&registration, &topic, &status, receivers, &flush);
        let spawner = self.runtime.spawner.clone();
        let (works, agenda_works) = mpsc::channel(self.config.limits.agenda_claim_max.max(1));
        let (note_due, due) = watch::channel(None);
        let agenda = Agenda {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            limits: self.config.limits.clone(),
            status: status.clone(),
            deadlines,
            performers: self.performers.all().to_vec(),
            works,
            due,
            shutdown: shutdown.clone(),
        };
        let agenda_ways = AgendaWays { works: agenda_works, due: note_due };
        let janitor = Janitor {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            limits: self.config.limits.clone(),
            status: status.clone(),
            shutdown: shutdown.clone(),
        };
        spawner.spawn("janitor", Box::pin(janitor.run()));
        let intake = self.intake(status, jobs, agenda_ways, fresh, shutdown, sources);
        spawner.spawn("agenda", Box::pin(agenda.run()));
        let intake_done = ended.clone();
        spawner.spawn(
            "intake",
            Box::pin(async move {
                intake.run().await;
                // Everything is appended: the relay publishes it and ends.
                flush_now.send_replace(true);
                drop(intake_done);
            }),
        );
        for relay in relays {
            let done = ended.clone();
            spawner.spawn(
                "relay",
                Box::pin(async move {
                    relay.run().await;
                    drop(done);
                }),
            );
        }
        Ok(Running { client, stop, ended: ended_seen })
    }

    /// P9: before lanes move to other shards, the map is closed, and every id of the old map and the new is
    /// initialised, so that no old holder can write any more, nor anybody begin before the new map is in
    /// force. Whoever comes while it is closed does all of it anew: who closed it may have died.
    async fn agree_on_shards(
        &self,
        registration: &Registration,
        topic: &str,
    ) -> Result<u32, StartError> {
        let wanted = registration.shards;
        let mut backoff = Backoff::new(&self.config.limits);
        for _ in 0..SHARD_CHANGES_MAX {
            let stored = self.store.register(registration).await?;
            if stored.shards == wanted && !stored.closed {
                return Ok(wanted);
            }
            // What the log refuses, it should refuse while the old map is still in force.
            self.fence(stored.shards.max(wanted), topic).await?;
            let change = self.store.close_shards().await?;
            self.fence(change.shards.max(wanted), topic).await?;
            if self.store.open_shards(change.number, wanted).await? {
                return Ok(wanted);
            }
            self.runtime.clock.sleep(backoff.pause()).await;
        }
        Err(StoreError::Unavailable("others change the number of shards all the time".into())
            .into())
    }

    async fn fence(&self, shards: u32, topic: &str) -> Result<(), LogError> {
        if broken(Mutant::OldShardsNotFenced) {
            return Ok(());
        }
        for shard in 0..shards {
            drop(self.log.publisher(&self.transactional_id(shard), topic).await?);
        }
        Ok(())
    }

    fn tracer(&self, topic: &Arc<str>) -> Tracer {
        Tracer {
            traces: self.config.traces.clone(),
            parentage: self.config.parentage,
            service: S::NAME,
            group: self.group().into(),
            topic: topic.clone(),
        }
    }

    fn group(&self) -> String {
        format!("{}.{}", self.config.namespace, S::NAME)
    }

    fn transactional_id(&self, shard: u32) -> String {
        format!("{}.{}.relay.{shard}", self.config.namespace, S::NAME)
    }

    fn relays(
        &self,
        registration: &Registration,
        topic: &Arc<str>,
        status: &Arc<Status>,
        receivers: Vec<mpsc::Receiver<Vec<Offered>>>,
        flush: &watch::Receiver<bool>,
    ) -> Vec<Relay> {
        let shards = registration.shards;
        let holder =
            self.config.instance.clone().unwrap_or_else(|| self.runtime.new_uuid().to_string());
        let relay = |(shard, fresh): (u32, mpsc::Receiver<_>)| Relay {
            shard,
            lanes: (0..self.config.lanes)
                .map(Lane)
                .filter(|lane| shard_of(*lane, shards as usize) == shard as usize)
                .collect(),
            topic: topic.clone(),
            identity: ServiceIdentity::new(S::NAME),
            registration: registration.clone(),
            transactional_id: match broken(Mutant::IdOfInstance) {
                true => format!("{}.{holder}", self.transactional_id(shard)),
                false => self.transactional_id(shard),
            },
            holder: holder.clone(),
            store: self.store.clone(),
            log: self.log.clone(),
            runtime: self.runtime.clone(),
            limits: self.config.limits.clone(),
            status: status.clone(),
            fresh,
            flush: flush.clone(),
        };
        (0..shards).zip(receivers).map(relay).collect()
    }

    fn intake(
        self,
        status: Arc<Status>,
        jobs: mpsc::Receiver<Box<dyn decider::Job>>,
        agenda: AgendaWays,
        fresh: Fan,
        shutdown: watch::Receiver<bool>,
        sources: Vec<String>,
    ) -> Intake<S> {
        let group = self.group();
        let dispatch = Arc::new(Dispatch::<S>::new());
        let consumes = dispatch.consumed().map(str::to_owned).collect();
        let decider = Decider::new(Parts {
            service: Arc::new(self.service),
            dispatch,
            runtime: self.runtime.clone(),
            limits: self.config.limits.clone(),
            retry: self.config.retry.clone(),
            output_lanes: self.config.lanes,
            alerts: self.performers.all().iter().any(|p| p.name() == DeadLetter::TYPE),
            status: status.clone(),
            accidents: self.accidents,
        });
        Intake {
            decider,
            store: self.store,
            log: self.log,
            runtime: self.runtime,
            group,
            topics: sources.iter().map(|source| self.config.topic_of(source).into()).collect(),
            limits: self.config.limits,
            status,
            jobs,
            agenda,
            fresh,
            shutdown,
            consumes,
            start: self.config.start,
        }
    }
}

/// How often an instance that starts changes the number of shards, while others do so too.
const SHARD_CHANGES_MAX: usize = 10;

/// Headers and framing of a record, beyond its payload.
const RECORD_OVERHEAD_BYTES: usize = 16 * 1024;

fn check(config: &Config) -> Result<(), StartError> {
    let mut wrong = vec![];
    if config.lanes == 0 {
        wrong.push("`lanes` is 0: a service has at least one lane".to_owned());
    }
    if config.shards == 0 || config.shards > config.lanes {
        wrong.push(format!(
            "`shards` is {}: it must be between 1 and the {} lanes",
            config.shards, config.lanes
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if config.namespace.is_empty() || !config.namespace.chars().all(allowed) {
        wrong.push(format!(
            "`namespace` is {:?}: use letters, digits, `-`, `_`, `.`",
            config.namespace
        ));
    }
    let limits = &config.limits;
    for (limit, name) in [
        (limits.batch_works_max, "batch_works_max"),
        (limits.batch_bytes_max, "batch_bytes_max"),
        (limits.relay_records_max, "relay_records_max"),
        (limits.relay_bytes_max, "relay_bytes_max"),
    ] {
        if limit == 0 {
            wrong.push(format!("`limits.{name}` is 0: it must be at least 1"));
        }
    }
    for (kept, name) in
        [(config.limits.inbox_kept, "inbox_kept"), (config.limits.answers_kept, "answers_kept")]
    {
        if kept < KEPT_MIN {
            wrong.push(format!("`limits.{name}` is {kept:?}: keep it for {KEPT_MIN:?} at least"));
        }
    }
    if config.limits.janitor_rows_max == 0 || config.limits.janitor_every.is_zero() {
        wrong.push("`limits.janitor_rows_max` and `limits.janitor_every` must not be 0".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(StartError::Config(wrong.join("; "))) }
}

/// The services whose topics are read.
fn sources<S: Service>(config: &Config) -> Result<Vec<String>, StartError> {
    if let Some(sources) = &config.sources {
        return Ok(sources.clone());
    }
    let description = ServiceDescription::of::<S>();
    let handled = description.handlers.iter().map(|handler| handler.consumes);
    let causes = description.undos.iter().flat_map(|undo| undo.because.iter().copied());
    let mut sources = vec![];
    for event in handled.chain(causes).filter(|event| event.public) {
        match event.source {
            Some(source) => sources.push(source.to_owned()),
            None => {
                return Err(StartError::Config(format!(
                    "{} consumes {}, whose declaration names no `source`: add `source = \"service\"` to it, or set `Config::sources`",
                    S::NAME,
                    event.event_type
                )));
            }
        }
    }
    sources.sort();
    sources.dedup();
    Ok(sources)
}

/// The deadlines that the service handles. Everything that it may set or request must come back to a
/// handler, and every effect needs a performer.
fn timed<S: Service>(
    performers: &[Arc<dyn AnyPerformer>],
) -> Result<Vec<&'static str>, StartError> {
    let description = ServiceDescription::of::<S>();
    let emitted: Vec<EventDescription> = description
        .handlers
        .iter()
        .flat_map(|handler| &handler.emits)
        .chain(description.undos.iter().flat_map(|undo| &undo.emits))
        .chain(description.commands.iter().flat_map(|command| &command.emits))
        .copied()
        .collect();
    let handles = |name: &str| description.handlers.iter().any(|h| h.consumes.event_type == name);
    let mut wrong = vec![];
    for event in &emitted {
        match event.kind {
            EventKind::Deadline if !handles(event.event_type) => wrong.push(format!(
                "{} may set the deadline {}, which nobody handles: add it to `Handles`",
                S::NAME,
                event.event_type
            )),
            EventKind::Effect { outcome } if !handles(outcome) => wrong.push(format!(
                "{} may request {}, whose outcome {outcome} nobody handles: add it to `Handles`",
                S::NAME,
                event.event_type
            )),
            EventKind::Effect { .. }
                if !performers.iter().any(|p| p.name() == event.event_type) =>
            {
                wrong.push(format!(
                    "{} may request {}, which nobody performs: add it to `Service::performers`",
                    S::NAME,
                    event.event_type
                ));
            }
            _ => {}
        }
    }
    wrong.sort();
    wrong.dedup();
    if !wrong.is_empty() {
        return Err(StartError::Config(wrong.join("; ")));
    }
    let handled = description.handlers.iter().map(|handler| handler.consumes);
    Ok(handled.filter(|e| e.kind == EventKind::Deadline).map(|e| e.event_type).collect())
}

/// A running service.
pub struct Running<S: Service> {
    client: Client<S>,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl<S: Service> fmt::Debug for Running<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running {}", S::NAME)
    }
}

impl<S: Service> Running<S> {
    /// A handle for commands and look-ups.
    #[must_use]
    pub fn client(&self) -> Client<S> {
        self.client.clone()
    }

    /// Drains (P16): takes nothing more, finishes and commits what it has, publishes it. True when all
    /// of that was done `within` the time; when not, killing is safe.
    pub async fn shutdown(mut self, within: Duration) -> bool {
        self.stop.send_replace(true);
        let late = self.client.runtime.clock.sleep(within);
        tokio::select! {
            biased;
            _ = self.ended.recv() => true,
            () = late => false,
        }
    }
}
