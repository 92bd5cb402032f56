//! The intake: log and commands in, appends out. The decider decides; this does the I/O around it.

mod commit;
mod contention;
mod fallback;
mod lanes;
mod records;
mod rulings;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use commit::{Commit, Load};
use contention::Contention;
use futures_util::FutureExt;
use rulings::Rulings;
use tokio::sync::{mpsc, watch};

use super::{
    client::ClientError,
    decider::{Decider, Job, Work},
    limits::{Backoff, Limits},
    pace::Pace,
    relay::Fan,
    signal::{halted, opened, raised},
    status::{Gate, Status},
};
use crate::{
    id::SourceLane,
    log::{Delivery, EventLog, Subscription},
    mutant::{Mutant, broken},
    runtime::{Runtime, Timestamp},
    service::Service,
    store::{EventStore, StartAt},
};

/// What an intake is made of.
pub(crate) struct Intake<S: Service> {
    pub(crate) decider: Decider<S>,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) status: Arc<Status>,
    pub(crate) jobs: mpsc::Receiver<Box<dyn Job>>,
    pub(crate) agenda: AgendaWays,
    pub(crate) fresh: Fan,
    pub(crate) shutdown: watch::Receiver<bool>,
    pub(crate) group: String,
    /// The topics to read.
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) consumes: Vec<String>,
    pub(crate) start: StartAt,
}

/// The ways between the intake and the agenda.
#[derive(Debug)]
pub(crate) struct AgendaWays {
    /// What is due, and what came of it. Closed when the agenda has ended.
    pub(crate) works: mpsc::Receiver<Work>,
    /// Tells when something new is due.
    pub(crate) due: watch::Sender<Option<Timestamp>>,
}

impl<S: Service> fmt::Debug for Intake<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intake of {}", S::NAME)
    }
}

/// An intake at work.
struct Running<S: Service> {
    parts: Intake<S>,
    subscription: Option<Box<dyn Subscription>>,
    commit: Commit,
    load: Load,
    commit_backoff: Backoff,
    load_backoff: Backoff,
    log_backoff: Backoff,
    /// Lanes that the group gave us.
    assigned: BTreeMap<SourceLane, Option<Timestamp>>,
    /// How many lanes a topic has: a key must come in the lane that it hashes to.
    lanes_of: HashMap<Arc<str>, u32>,
    /// Lanes that hold as many keys as they may.
    full: Vec<SourceLane>,
    /// When to join the group again, while there is no subscription.
    subscribe_at: Timestamp,
    contention: Contention,
    /// Names this run of the intake in the locks that it takes.
    lock_holder: String,
    pace: Pace,
    /// When the append that is under way was started.
    sealed_at: Timestamp,
    draining: bool,
    rulings: Rulings,
    /// When the positions in the store are looked at next.
    look_at_positions: Timestamp,
    /// Nothing comes from the agenda any more.
    agenda_ended: bool,
}

impl<S: Service> Intake<S> {
    /// Runs until shutdown, and then until everything that was taken is committed.
    pub(crate) async fn run(self) {
        let mut gate = self.status.gate();
        let mut shutdown = self.shutdown.clone();
        // P8: nothing is appended before the log's tail was compared with the store.
        let open = opened(&mut gate, &mut shutdown).await;
        let mut running = Running::new(self);
        if open {
            running.run(gate).await;
        }
        running.parts.jobs.close();
        while let Ok(job) = running.parts.jobs.try_recv() {
            running.parts.decider.push(Work::Command(job));
        }
        let why = match &*running.parts.status.gate().borrow() {
            Gate::Halted(reason) => ClientError::Unavailable(format!("halted: {reason}")),
            _ => ClientError::ShuttingDown,
        };
        running.parts.decider.abandon(&why);
    }
}

impl<S: Service> Running<S> {
    fn new(parts: Intake<S>) -> Self {
        let backoff = || Backoff::new(&parts.limits);
        Self {
            commit_backoff: backoff(),
            load_backoff: backoff(),
            log_backoff: backoff(),
            subscription: None,
            commit: Commit::idle(),
            load: Load::idle(),
            assigned: BTreeMap::new(),
            lanes_of: HashMap::new(),
            full: vec![],
            subscribe_at: Timestamp::default(),
            contention: Contention::default(),
            lock_holder: parts.runtime.new_uuid().to_string(),
            pace: Pace::new(parts.limits.pace_under_load),
            sealed_at: Timestamp::default(),
            draining: false,
            rulings: Rulings::default(),
            look_at_positions: Timestamp::default(),
            agenda_ended: false,
            parts,
        }
    }

    async fn run(&mut self, mut gate: watch::Receiver<Gate>) {
        let mut shutdown = self.parts.shutdown.clone();
        loop {
            self.gather().await;
            self.pump();
            if self.is_drained() {
                return;
            }
            let room = self.parts.decider.room() > 0;
            let (taking, agenda) = (!self.draining && room, !self.agenda_ended && room);
            let subscribed = taking && self.subscription.is_some();
            let wake = self.sleep_until();
            tokio::select! {
                biased;
                () = halted(&mut gate) => return,
                () = raised(&mut shutdown), if !self.draining => self.drain(),
                result = self.commit.wait() => self.commit_ended(result).await,
                () = self.contention.locked() => {}
                slices = self.load.wait() => self.load_ended(slices),
                job = self.parts.jobs.recv(), if taking => match job {
                    Some(job) => self.parts.decider.push(Work::Command(job)),
                    None => self.drain(),
                },
                work = self.parts.agenda.works.recv(), if agenda => match work {
                    Some(work) => self.parts.decider.push(work),
                    None => self.agenda_ended = true,
                },
                delivery = next(&mut self.subscription, self.parts.limits.batch_works_max), if subscribed => {
                    self.delivered(delivery).await;
                }
                () = wake => {}
            }
        }
    }

    /// Takes what is there already: a batch is as much as arrived while the last one was committing.
    async fn gather(&mut self) {
        self.take_agenda();
        if self.draining {
            return;
        }
        if self.wants_subscription() && self.parts.runtime.clock.now() >= self.subscribe_at {
            self.subscribe().await;
        }
        self.tend_lanes().await;
        self.look_for_rulings().await;
        self.look_at_positions().await;
        self.retry_due().await;
        loop {
            let room = self.parts.decider.room();
            let commands = self.take_commands(room.div_ceil(2));
            let room = self.parts.decider.room();
            let delivery = match &mut self.subscription {
                Some(subscription) if room > 0 => {
                    subscription.next(room.min(self.parts.limits.batch_works_max)).now_or_never()
                }
                _ => None,
            };
            match delivery {
                Some(delivery) => self.delivered(delivery).await,
                None if commands == 0 => return,
                None => {}
            }
        }
    }

    fn take_commands(&mut self, room: usize) -> usize {
        for taken in 0..room {
            match self.parts.jobs.try_recv() {
                Ok(job) => self.parts.decider.push(Work::Command(job)),
                Err(_) => return taken,
            }
        }
        room
    }

    fn take_agenda(&mut self) {
        while self.parts.decider.room() > 0 {
            let Ok(work) = self.parts.agenda.works.try_recv() else { return };
            self.parts.decider.push(work);
        }
    }

    /// P16: also what the outside was asked for has been heard out.
    fn is_drained(&self) -> bool {
        let idle = self.parts.decider.is_idle() && self.commit.is_idle();
        let idle = idle || broken(Mutant::DrainCutShort);
        self.draining && idle && self.agenda_ended
    }

    /// Decides as far as possible; starts the next load and the next commit.
    fn pump(&mut self) {
        if self.contention.is_waiting() {
            return;
        }
        if self.load.is_idle() {
            let wants = self.parts.decider.advance();
            if !wants.is_empty() {
                self.load.start(self.parts.store.clone(), wants);
                return;
            }
        } else {
            return;
        }
        if self.commit_next() {
            // The next batch is decided on the overlay of this one.
            let wants = self.parts.decider.advance();
            if !wants.is_empty() {
                self.load.start(self.parts.store.clone(), wants);
            }
        }
    }

    /// Seals the open batch and sends it off, when it is decided and nothing is being committed.
    fn commit_next(&mut self) -> bool {
        if self.contention.is_waiting() || !self.commit.is_idle() || !self.may_seal() {
            return false;
        }
        let works = self.parts.decider.open_works();
        let Some(append) = self.parts.decider.seal() else { return false };
        self.sealed_at = self.parts.runtime.clock.now();
        self.pace.started(self.sealed_at, works);
        self.commit.start(self.parts.store.clone(), append);
        true
    }

    /// Under load, starts are kept apart so that batches grow; an idle engine never waits.
    fn may_seal(&self) -> bool {
        if !self.parts.decider.can_seal() {
            return false;
        }
        self.draining
            || self.parts.decider.open_works() >= self.parts.limits.batch_works_max
            || self.pace.pause(self.parts.runtime.clock.now()).is_none()
    }

    fn wants_subscription(&self) -> bool {
        self.subscription.is_none() && !self.parts.topics.is_empty() && !self.draining
    }

    /// The next moment at which there is something to do although nothing arrives.
    fn sleep_until(&self) -> crate::runtime::BoxFuture<'static, ()> {
        let now = self.parts.runtime.clock.now();
        let paced = (self.parts.decider.can_seal() && self.commit.is_idle())
            .then(|| self.pace.pause(now).map_or(now, |pause| now.plus(pause)));
        let retry = self.parts.decider.lanes.next_due().filter(|_| !self.draining);
        let claim = self.assigned.values().flatten().min().copied();
        let subscribe = self.wants_subscription().then_some(self.subscribe_at);
        let ruling = self.next_look_for_rulings();
        let positions = self.next_look_at_positions();
        match [paced, retry, claim, subscribe, ruling, positions].into_iter().flatten().min() {
            Some(at) => self.parts.runtime.clock.sleep(at.since(now).max(Duration::from_millis(1))),
            None => Box::pin(std::future::pending()),
        }
    }

    /// P16: takes nothing more, and finishes what it has.
    fn drain(&mut self) {
        self.draining = true;
        self.parts.status.drain();
        self.parts.jobs.close();
        while let Ok(job) = self.parts.jobs.try_recv() {
            self.parts.decider.push(Work::Command(job));
        }
        self.subscription = None;
        self.parts.status.contact(None);
    }
}

async fn next(
    subscription: &mut Option<Box<dyn Subscription>>,
    max: usize,
) -> Result<Delivery, crate::log::LogError> {
    match subscription {
        Some(subscription) => subscription.next(max).await,
        None => std::future::pending().await,
    }
}
