//! The agenda: fires deadlines (P13) and carries out effects (P14).
//!
//! It claims what is due and hands it to the intake as works; what came of them is decided and committed
//! there, like everything else. Nothing is decided here, and a claim is for liveness only: an item ends
//! by compare-and-set on its token, in the append.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    decider::{AgendaStep, AgendaWork, Work},
    limits::{Backoff, Limits},
    signal::{halted, opened, raised},
    status::{Gate, Status},
};
use crate::{
    effect::{AnyPerformer, Attempt, Call, EffectPolicy, GivenUp, Performed},
    mutant::{Mutant, broken},
    runtime::{BoxFuture, Runtime, Timestamp},
    store::{AgendaClaim, AgendaItem, AgendaKind, EventStore},
    telemetry::{Hop, Tracer},
};

/// How long a claimed deadline is kept from others: it is decided and committed at once.
const DEADLINE_LEASE: Duration = Duration::from_secs(2);
/// Beyond the time-outs of its calls, how long a claimed effect is kept from others.
const EFFECT_LEASE_MARGIN: Duration = Duration::from_secs(5);

/// What the agenda of one engine is made of.
pub(crate) struct Agenda {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) status: Arc<Status>,
    /// The deadlines that the service handles.
    pub(crate) deadlines: Vec<&'static str>,
    pub(crate) performers: Vec<Arc<dyn AnyPerformer>>,
    /// To the intake. It drains until this is dropped.
    pub(crate) works: mpsc::Sender<Work>,
    /// Raised to the time at which something new is due.
    pub(crate) due: watch::Receiver<Option<Timestamp>>,
    pub(crate) shutdown: watch::Receiver<bool>,
}

/// Effects of one type.
struct Lane {
    performer: Arc<dyn AnyPerformer>,
    policy: EffectPolicy,
    running: usize,
    /// The last claim may have left some behind.
    more: bool,
}

type Ended = (usize, Work);

impl Agenda {
    /// Runs until shutdown, and until what was under way then has ended.
    pub(crate) async fn run(self) {
        let (mut gate, mut shutdown) = (self.status.gate(), self.shutdown.clone());
        let open = opened(&mut gate, &mut shutdown).await;
        if !open || (self.deadlines.is_empty() && self.performers.is_empty()) {
            return;
        }
        let lane = |performer: &Arc<dyn AnyPerformer>| Lane {
            performer: performer.clone(),
            policy: performer.policy(),
            running: 0,
            more: true,
        };
        let lanes = self.performers.iter().map(lane).collect();
        let running = self.performers.iter().map(|p| p.policy().concurrency.max(1)).sum::<usize>();
        let (ended, results) = mpsc::channel(running.max(1));
        let backoff = Backoff::new(&self.limits);
        let (deadlines_more, look_at) = (true, Timestamp::default());
        let turning =
            Turning { agenda: self, lanes, deadlines_more, look_at, ended, results, backoff };
        turning.run(gate).await;
    }
}

struct Turning {
    agenda: Agenda,
    lanes: Vec<Lane>,
    /// The last claim of deadlines may have left some behind.
    deadlines_more: bool,
    /// When to look for work of other instances, and for what has become due.
    look_at: Timestamp,
    ended: mpsc::Sender<Ended>,
    results: mpsc::Receiver<Ended>,
    backoff: Backoff,
}

impl Turning {
    async fn run(mut self, mut gate: watch::Receiver<Gate>) {
        let mut shutdown = self.agenda.shutdown.clone();
        loop {
            self.notice();
            let pause = self.round().await;
            let sleep = self.agenda.runtime.clock.sleep(pause);
            tokio::select! {
                biased;
                () = halted(&mut gate) => return,
                () = raised(&mut shutdown) => break,
                Some(ended) = self.results.recv() => {
                    if !self.hand_over(ended).await {
                        return;
                    }
                }
                () = something_due(&mut self.agenda.due, &self.agenda.runtime) => self.look_now(),
                () = sleep => self.look_now(),
            }
        }
        // P16: what has been sent to the outside is heard out; nothing new is begun.
        while self.lanes.iter().any(|lane| lane.running > 0) {
            tokio::select! {
                biased;
                () = halted(&mut gate) => return,
                Some(ended) = self.results.recv() => {
                    if !self.hand_over(ended).await {
                        return;
                    }
                }
            }
        }
    }

    /// Under load there is always a result to hand over, and no other branch is ever reached: what else has
    /// happened is looked at in each round. Else the effects of one type starve those of another.
    fn notice(&mut self) {
        let now = self.agenda.runtime.clock.now();
        let due = match self.agenda.due.has_changed() {
            Ok(true) => *self.agenda.due.borrow_and_update(),
            Ok(false) | Err(_) => None,
        };
        if due.is_some_and(|at| at <= now) || self.look_at <= now {
            self.look_now();
        }
    }

    fn look_now(&mut self) {
        self.deadlines_more = true;
        self.lanes.iter_mut().for_each(|lane| lane.more = true);
        let now = self.agenda.runtime.clock.now();
        self.look_at = now.plus(self.agenda.limits.agenda_poll_every);
    }

    /// Claims what is due, once; says how long to wait before the next time when nothing happens.
    async fn round(&mut self) -> Duration {
        let deadlines = if self.deadlines_more { self.fire().await } else { Ok(false) };
        if let Ok(more) = deadlines {
            self.deadlines_more = more;
        }
        let mut claimed = Ok(());
        for index in 0..self.lanes.len() {
            if claimed.is_ok() {
                claimed = self.perform(index).await;
            }
        }
        match (deadlines, claimed) {
            (Ok(true), Ok(())) => Duration::ZERO,
            (Ok(false), Ok(())) => {
                self.backoff.reset();
                self.agenda.limits.agenda_poll_every
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "the agenda cannot be read");
                self.backoff.pause().max(self.agenda.limits.agenda_poll_every)
            }
        }
    }

    /// Claims deadlines and hands them to the intake. True when there may be more.
    async fn fire(&mut self) -> Result<bool, crate::store::StoreError> {
        let limit = self.agenda.limits.agenda_claim_max.min(self.agenda.works.capacity());
        if self.agenda.deadlines.is_empty() || limit == 0 {
            return Ok(false);
        }
        let claim = AgendaClaim {
            kind: AgendaKind::Deadline,
            names: self.agenda.deadlines.iter().map(|name| Cow::Borrowed(*name)).collect(),
            now: self.agenda.runtime.clock.now(),
            token: self.agenda.runtime.new_uuid(),
            lease: if broken(Mutant::DeadlineLost) { Duration::MAX } else { DEADLINE_LEASE },
            limit,
        };
        let items = self.agenda.store.claim_agenda(&claim).await?;
        let more = items.len() == limit;
        for item in items {
            let Some(event_type) =
                self.agenda.deadlines.iter().find(|name| **name == item.name.as_ref()).copied()
            else {
                continue;
            };
            let step = AgendaStep::Deliver { event_type, payload: item.payload.clone() };
            let work = Work::Agenda(Box::new(AgendaWork { item, step, poison: None }));
            if self.agenda.works.send(work).await.is_err() {
                return Ok(false);
            }
        }
        Ok(more)
    }

    /// Claims effects of one type, as many as may run, and starts them.
    async fn perform(&mut self, index: usize) -> Result<(), crate::store::StoreError> {
        let lane = &self.lanes[index];
        let most = lane.policy.concurrency.max(1);
        let free = most - lane.running.min(most);
        // Few at a time would cost a query each: under load a quarter is claimed at once.
        if !lane.more || free < most.div_ceil(4) {
            return Ok(());
        }
        let claim = AgendaClaim {
            kind: AgendaKind::Effect,
            names: vec![Cow::Borrowed(lane.performer.name())],
            now: self.agenda.runtime.clock.now(),
            token: self.agenda.runtime.new_uuid(),
            lease: lane.policy.timeout * 2 + EFFECT_LEASE_MARGIN,
            limit: free,
        };
        let items = self.agenda.store.claim_agenda(&claim).await?;
        let lane = &mut self.lanes[index];
        lane.more = items.len() == free;
        lane.running += items.len();
        for item in items {
            let (performer, policy) = (lane.performer.clone(), lane.policy.clone());
            let (runtime, ended) = (self.agenda.runtime.clone(), self.ended.clone());
            let status = self.agenda.status.clone();
            let task: BoxFuture<'static, ()> = Box::pin(async move {
                let mut item = item;
                let step =
                    carry_out(&mut item, performer, &policy, (&runtime, &status.tracer)).await;
                let work = Work::Agenda(Box::new(AgendaWork { item, step, poison: None }));
                // The agenda is gone only when nobody wants to know.
                let _ = ended.send((index, work)).await;
            });
            self.agenda.runtime.spawner.spawn("effect", task);
        }
        Ok(())
    }

    /// Hands the result of a try to the intake. False when the intake is gone.
    async fn hand_over(&mut self, (index, work): Ended) -> bool {
        self.lanes[index].running -= 1;
        self.agenda.works.send(work).await.is_ok()
    }
}

/// Resolves when something new is due now.
async fn something_due(due: &mut watch::Receiver<Option<Timestamp>>, runtime: &Runtime) {
    loop {
        if due.changed().await.is_err() {
            return std::future::pending().await;
        }
        let at = *due.borrow_and_update();
        if at.is_some_and(|at| at <= runtime.clock.now()) {
            return;
        }
    }
}

/// One try of an effect; what is already known is not asked for again. What follows from the try continues
/// its span: the item then carries that on.
async fn carry_out(
    item: &mut AgendaItem,
    performer: Arc<dyn AnyPerformer>,
    policy: &EffectPolicy,
    (runtime, tracer): (&Runtime, &Tracer),
) -> AgendaStep {
    let event_type = performer.outcome();
    if let Some(outcome) = &item.outcome {
        return AgendaStep::Deliver { event_type, payload: outcome.clone() };
    }
    let start = runtime.clock.now();
    let hop = tracer.attempt(item);
    let (trace, trace_state) = hop.as_ref().map_or((None, None), Hop::headers);
    let attempt = Attempt {
        request: item.payload.clone(),
        call: Call {
            key: match broken(Mutant::KeyOfAttempt) {
                true => crate::id::AgendaId(runtime.new_uuid()),
                false => item.id,
            },
            saga: item.saga,
            attempt: item.attempts + 1,
            requested_at: item.set_at,
            trace,
            trace_state,
        },
        begun: item.begun,
        clock: runtime.clock.clone(),
    };
    let performed = performer.clone().attempt(attempt).await;
    if let Some(hop) = hop {
        item.trace = Some(hop.carried.clone());
        tracer.attempted(hop, item, (start, runtime.clock.now()), performed.error());
    }
    match performed {
        Performed::Outcome(payload) => AgendaStep::Deliver { event_type, payload },
        Performed::Hopeless { begun, reason } => AgendaStep::Dead { begun, reason },
        Performed::Failed { begun, reason } => {
            let (now, attempts) = (runtime.clock.now(), item.attempts + 1);
            let jitter = runtime.entropy.below(u64::MAX);
            if let Some(pause) = policy.schedule.pause(attempts, now.since(item.set_at), jitter) {
                return AgendaStep::Again { due: now.plus(pause), begun, reason };
            }
            let last = GivenUp { attempts, begun, reason };
            match performer.give_up(&item.payload, &last) {
                Some(payload) => AgendaStep::Deliver { event_type, payload },
                None => AgendaStep::Dead { begun, reason: gave_up(&last) },
            }
        }
    }
}

fn gave_up(last: &GivenUp) -> String {
    let GivenUp { attempts, begun, reason } = last;
    let known = if *begun { "the outcome is not known" } else { "nothing was done" };
    format!("gave up after {attempts} attempts; {known}: {reason}")
}
