//! Deadlines and effects on the append path (P13, P14).
//!
//! What turns ask for becomes rows of the append. What was claimed comes back as a work: its event is
//! recorded under its key, its handler runs, and its row ends by compare-and-set, in one append.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    Decider,
    finish::{Part, Stamp, carried},
    held::judge,
    open::TaskState,
    work::{AgendaStep, AgendaWork, Work},
};
use crate::{
    aggregate::Draft,
    alert::DeadLetter,
    barrier,
    effect::Tried,
    error::{FailureKind, HandlerError},
    event::{DomainEvent, Origin},
    handler::{Run, Stimulus},
    id::{AgendaId, EventId, SagaId, SourceLane},
    mutant::{Mutant, broken},
    runtime::Timestamp,
    service::Service,
    store::{AgendaChange, AgendaItem, AgendaKind, AgendaState, LetterId},
    turn::{AgendaDraft, TurnCell, Wish},
};

/// What a batch changes on the agenda.
#[derive(Debug, Default)]
pub(crate) struct AgendaOverlay(BTreeMap<AgendaId, Change>);

#[derive(Debug, Default)]
struct Change {
    /// What was claimed ends.
    ending: Option<AgendaChange>,
    /// What the last turn that spoke of it wants there.
    wish: Option<AgendaChange>,
}

impl AgendaOverlay {
    fn end(&mut self, change: AgendaChange) {
        let id = change.id();
        self.0.entry(id).or_default().ending = Some(change);
    }

    fn wish(&mut self, change: AgendaChange) {
        let id = change.id();
        self.0.entry(id).or_default().wish = Some(change);
    }

    /// Whether a turn has set it anew or cleared it: what was claimed of it before is void. A claim may see what
    /// this batch has put there before anybody here knows that it is committed: that is not.
    fn voids(&self, claimed: &AgendaItem) -> bool {
        match self.0.get(&claimed.id).and_then(|change| change.wish.as_ref()) {
            None => false,
            Some(AgendaChange::Put(put)) => {
                (put.set_at, &put.causation) != (claimed.set_at, &claimed.causation)
            }
            Some(_) => true,
        }
    }

    /// All of it; the store knows in which order.
    pub(super) fn changes(&self) -> Vec<AgendaChange> {
        self.0
            .values()
            .flat_map(|change| change.ending.iter().chain(&change.wish))
            .cloned()
            .collect()
    }

    /// The earliest time at which something put there is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let put = |change: &Change| match &change.wish {
            Some(AgendaChange::Put(item)) => Some(item.due),
            _ => None,
        };
        self.0.values().filter_map(put).min()
    }
}

impl<S: Service> Decider<S> {
    /// What a turn asks for becomes part of the batch.
    pub(super) fn plan(&mut self, drafts: Vec<AgendaDraft>, stamp: &Stamp) {
        for (index, draft) in drafts.into_iter().enumerate() {
            if broken(Mutant::DeadlineNotCleared) && matches!(draft.wish, Wish::Clear) {
                continue;
            }
            let change = self.planned(index, draft, stamp);
            self.open.agenda.wish(change);
        }
    }

    fn planned(&self, index: usize, draft: AgendaDraft, stamp: &Stamp) -> AgendaChange {
        let AgendaDraft { name, key, wish } = draft;
        let deadline = AgendaId::named(&format!("deadline/{}/{name}/{key}", S::NAME));
        let (id, kind, due, payload) = match wish {
            Wish::Clear => return AgendaChange::Clear(deadline),
            Wish::Set { after, payload } => {
                (deadline, AgendaKind::Deadline, stamp.time.plus(after), payload)
            }
            Wish::Request { payload } => {
                // From its cause: deciding again gives the same key (P14).
                let cause = format!("effect/{}/{}/{index}/{name}/{key}", S::NAME, stamp.causation);
                (AgendaId::named(&cause), AgendaKind::Effect, stamp.time, payload)
            }
        };
        AgendaChange::Put(Box::new(AgendaItem {
            id,
            kind,
            name: Cow::Borrowed(name),
            key,
            saga: stamp.saga,
            causation: stamp.causation.clone(),
            trace: Some(carried(stamp, EventId(id.0))),
            payload,
            set_at: stamp.time,
            due,
            state: AgendaState::Pending,
            attempts: 0,
            begun: false,
            outcome: None,
            reason: String::new(),
            token: self.runtime.new_uuid(),
        }))
    }

    /// Starts the task of a claimed item. `None` when it is void and finished.
    pub(super) fn start_agenda(&mut self, index: usize, work: usize) -> Option<TaskState> {
        let Work::Agenda(agenda) = &self.open.works[work] else { return None };
        let AgendaWork { item, step, poison } = &**agenda;
        let (item, step, poison) = (item.clone(), step.clone(), poison.clone());
        if self.is_void(&item) {
            return None;
        }
        let cell = self.turn(item.saga, item.key.clone());
        self.open.tasks[index].span = tracing::info_span!("agenda", kind = item.kind.name(), name = %item.name, saga = %item.saga);
        let run: Run = match (poison, step) {
            (Some(reason), _) => Box::pin(async { Err(HandlerError::terminal(reason)) }),
            (None, AgendaStep::Deliver { event_type, payload }) => {
                record(&cell, &item, event_type, payload.clone());
                let stimulus = Stimulus { origin: Arc::new(origin(&item, event_type)), payload };
                self.reaction(stimulus, &cell)
            }
            (None, AgendaStep::Again { reason, .. } | AgendaStep::Dead { reason, .. }) => {
                let attempt = item.attempts + 1;
                let (effect, reason) = (Cow::Borrowed(&*item.name), Cow::Owned(reason));
                let tried = Tried { effect, id: item.id, attempt, reason };
                // A struct of texts and numbers serialises.
                let payload = serde_json::to_vec(&tried).unwrap_or_default();
                record(&cell, &item, barrier::EFFECT_TRIED, payload.into());
                Box::pin(async { Ok(()) })
            }
        };
        Some(TaskState::Running { run, cell })
    }

    /// Whether a turn of this batch, or of the one being committed, has set or cleared it.
    fn is_void(&self, claimed: &AgendaItem) -> bool {
        if broken(Mutant::VoidDeadlineFires) {
            return false;
        }
        self.open.agenda.voids(claimed)
            || self.sealed.as_ref().is_some_and(|sealed| sealed.agenda.voids(claimed))
    }

    /// Takes in what became of a claimed item.
    pub(super) fn finish_agenda(
        &mut self,
        work: usize,
        part: Part,
        result: Result<(), HandlerError>,
        now: Timestamp,
    ) {
        let Work::Agenda(agenda) = &self.open.works[work] else { return };
        let AgendaWork { item, step, .. } = &**agenda;
        let (item, step) = (item.clone(), step.clone());
        if self.is_void(&item) {
            return;
        }
        let reads = part.streams.clone();
        // A try that failed has a span of its own, and nothing is decided on it.
        let hop = match &step {
            AgendaStep::Deliver { .. } => self.status.tracer.due(&item),
            AgendaStep::Again { .. } | AgendaStep::Dead { .. } => None,
        };
        let carried = hop.as_ref().map(|hop| hop.carried.clone());
        let stamp = Stamp {
            saga: item.saga,
            causation: causation(&item),
            time: now,
            trace: carried.or_else(|| item.trace.clone()),
        };
        let result = result.and_then(|()| self.contribute(part, &stamp));
        if let Some(hop) = hop {
            let error = result.as_ref().err();
            self.tell(|tracer, end| {
                tracer.delivered(hop, &item, event_type(&item, &step), (now, end), error)
            });
        }
        if let Err(error) = result {
            self.note_reads_of_failure(&reads);
            self.fail_agenda(&item, &step, &error);
            return;
        }
        let change = self.concluded(&item, step);
        if broken(Mutant::DeadlineFiredTwice) && item.kind == AgendaKind::Deadline {
            return;
        }
        self.open.agenda.end(change);
    }

    fn concluded(&mut self, item: &AgendaItem, step: AgendaStep) -> AgendaChange {
        let (id, token) = (item.id, item.token);
        let (due, state, begun, reason) = match step {
            AgendaStep::Deliver { .. } => {
                match item.kind {
                    AgendaKind::Deadline => self.open.outcomes.deadlines_fired += 1,
                    AgendaKind::Effect => self.open.outcomes.effects_concluded += 1,
                }
                return AgendaChange::Done { id, token };
            }
            AgendaStep::Again { due, begun, reason } => (due, AgendaState::Pending, begun, reason),
            AgendaStep::Dead { begun, reason } => {
                self.open.outcomes.dead += 1;
                self.alert_item(item, item.attempts + 1, &reason);
                let (effect, key, saga) = (item.name.clone(), item.key.clone(), item.saga);
                let why = reason.clone();
                self.say_once_committed(
                    move || tracing::error!(%effect, %key, %saga, reason = %why, "an effect waits for a person"),
                );
                (item.due, AgendaState::Dead, begun, reason)
            }
        };
        self.open.outcomes.effect_tries_failed += 1;
        let attempts = item.attempts + 1;
        AgendaChange::Update { id, token, due, state, attempts, begun, outcome: None, reason }
    }

    /// The handler of a deadline or of an outcome failed: tried again, or dead when that cannot help (P12).
    fn fail_agenda(&mut self, item: &AgendaItem, step: &AgendaStep, error: &HandlerError) {
        let outcome = match (item.kind, step) {
            (AgendaKind::Effect, AgendaStep::Deliver { payload, .. }) => Some(payload.clone()),
            _ => None,
        };
        // Tries of the effect do not count against its handler.
        let first = outcome.is_some() && item.outcome.is_none();
        let attempts = if first { 1 } else { item.attempts + 1 };
        let (own, _) = self.dispatch.after_failure(&self.service, event_type(item, step));
        let policy = own.unwrap_or_else(|| self.retry.clone());
        let (again, reason) = judge(&policy, error, attempts, None);
        let dead = !again;
        let state = if dead { AgendaState::Dead } else { AgendaState::Pending };
        let outcomes = &mut self.open.outcomes;
        *(if dead { &mut outcomes.dead } else { &mut outcomes.parked }) += 1;
        outcomes.bugs += usize::from(error.kind() == FailureKind::Bug);
        let (kind, name, saga, why) =
            (item.kind.name(), item.name.clone(), item.saga, reason.clone());
        self.say_once_committed(
            move || tracing::warn!(kind, %name, %saga, attempts, dead, reason = %why, "an item of the agenda failed"),
        );
        if dead {
            self.alert_item(item, attempts, &reason);
        }
        let pause = policy.delay(attempts, self.runtime.entropy.below(u64::MAX));
        let due = self.runtime.clock.now().plus(pause);
        let (id, token, begun) = (item.id, item.token, outcome.is_some() || item.begun);
        let change =
            AgendaChange::Update { id, token, due, state, attempts, begun, outcome, reason };
        self.open.agenda.end(change);
    }

    fn alert_item(&mut self, item: &AgendaItem, attempts: u32, reason: &str) {
        // An alert that cannot be told is not told of: it is in the log, and in the list.
        if item.name == DeadLetter::TYPE {
            return;
        }
        self.alert(&DeadLetter {
            service: S::NAME.to_owned(),
            letter: LetterId::Agenda(item.id).to_string(),
            event_type: item.name.to_string(),
            key: item.key.to_string(),
            saga: Some(item.saga.to_string()),
            attempts,
            reason: reason.to_owned(),
        });
    }

    /// Tells of a dead letter, in the same append, by an effect: at least once, and not lost by a crash.
    pub(super) fn alert(&mut self, letter: &DeadLetter) {
        if !self.alerts {
            return;
        }
        let now = self.runtime.clock.now();
        let id =
            AgendaId::named(&format!("alert/{}/{}/{}", S::NAME, letter.letter, letter.attempts));
        let saga = letter.saga.as_deref().and_then(|saga| saga.parse().ok());
        let key = barrier::stream(&letter.key).map_or(DeadLetter::UNKEYED, |_| &*letter.key);
        self.open.agenda.wish(AgendaChange::Put(Box::new(AgendaItem {
            id,
            kind: AgendaKind::Effect,
            name: Cow::Borrowed(DeadLetter::TYPE),
            key: key.into(),
            saga: saga.unwrap_or(SagaId(uuid::Uuid::nil())),
            causation: letter.letter.clone(),
            trace: None,
            // A struct of texts and numbers serialises.
            payload: serde_json::to_vec(letter).unwrap_or_default().into(),
            set_at: now,
            due: now,
            state: AgendaState::Pending,
            attempts: 0,
            begun: false,
            outcome: None,
            reason: String::new(),
            token: self.runtime.new_uuid(),
        })));
    }

    /// Another has them, or they were set anew: what was decided on them is void.
    pub(super) fn forget_agenda(&mut self, ids: &[AgendaId]) {
        self.pending
            .remove(|work| matches!(work, Work::Agenda(agenda) if ids.contains(&agenda.item.id)));
    }
}

/// The type of the event whose handler failed.
fn event_type<'a>(item: &'a AgendaItem, step: &'a AgendaStep) -> &'a str {
    match step {
        AgendaStep::Deliver { event_type, .. } => event_type,
        AgendaStep::Again { .. } | AgendaStep::Dead { .. } => &item.name,
    }
}

/// What happened is a fact of its key: it comes before what its handler decides.
fn record(cell: &TurnCell, item: &AgendaItem, event_type: &'static str, payload: bytes::Bytes) {
    let mut turn = cell.lock();
    match barrier::stream(&item.key) {
        Ok(stream) => {
            turn.push(Draft { stream, event_type, payload, key: None, fault: None });
        }
        Err(error) => turn.fail(HandlerError::terminal(error)),
    }
}

/// Names the firing or the outcome in the events that follow from it. A deadline that is set again is another
/// cause.
fn causation(item: &AgendaItem) -> String {
    match item.kind {
        AgendaKind::Deadline => format!("deadline:{}@{}", item.id, item.set_at.0),
        AgendaKind::Effect => format!("effect:{}", item.id),
    }
}

fn origin(item: &AgendaItem, event_type: &'static str) -> Origin {
    Origin {
        id: EventId(item.id.0),
        event_type: event_type.into(),
        saga: item.saga,
        key: item.key.clone(),
        time: item.due,
        source: SourceLane { topic: item.kind.name().into(), lane: crate::id::Lane(0) },
    }
}
