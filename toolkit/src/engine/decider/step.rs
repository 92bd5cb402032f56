//! Running one task: start, poll, fill in what it asks for.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
};

use super::{
    Decider, Entry,
    open::{Subject, TaskState},
    work::{Via, Work},
};
use crate::{
    aggregate::FoldError,
    barrier::{self, react},
    engine::status,
    error::HandlerError,
    event::Origin,
    handler::{Run, Stimulus},
    id::{SagaId, StreamId},
    log::record::Message,
    mutant::{Mutant, broken},
    service::Service,
    store::HeldState,
    turn::{Context, InTurn, TurnCell},
};

impl<S: Service> Decider<S> {
    /// Runs a task until it is finished or waits for a stream.
    pub(super) fn step(&mut self, index: usize) {
        loop {
            let state = std::mem::replace(&mut self.open.tasks[index].state, TaskState::Ready);
            match state {
                TaskState::Finished => {
                    self.open.tasks[index].state = TaskState::Finished;
                    return;
                }
                TaskState::Ready => match self.start(index) {
                    Some(state) => self.open.tasks[index].state = state,
                    None => return self.open.finished(index),
                },
                TaskState::Running { mut run, cell } => {
                    if !self.fill_turn(index, &cell) {
                        self.open.tasks[index].state = TaskState::Running { run, cell };
                        return;
                    }
                    self.open.tasks[index].state = match self.poll(index, &mut run, &cell) {
                        Some(result) => TaskState::Settling { cell, result },
                        None => TaskState::Running { run, cell },
                    };
                }
                TaskState::Settling { cell, result } => {
                    if result.is_ok() {
                        ask_for_written_streams(&cell);
                    }
                    if !self.fill_turn(index, &cell) {
                        self.open.tasks[index].state = TaskState::Settling { cell, result };
                        return;
                    }
                    if self.finish(index, &cell, result) {
                        return self.open.finished(index);
                    }
                    // What it read has changed meanwhile: it runs again (P1).
                    status::add(&self.status.counters.reruns, 1);
                }
            }
        }
    }

    /// Starts a task. `None` when it needed no handler and is finished.
    fn start(&mut self, index: usize) -> Option<TaskState> {
        match &self.open.tasks[index].subject {
            Subject::Command { work } => {
                let Work::Command(job) = &self.open.works[*work] else { return None };
                let cell = self.turn(self.runtime.new_saga_id(), "".into());
                self.open.tasks[index].span =
                    tracing::info_span!("decide", command = job.name(), stream = %job.stream());
                let run = job.start(cell.clone());
                Some(TaskState::Running { run, cell })
            }
            Subject::Agenda { work } => {
                let work = *work;
                self.start_agenda(index, work)
            }
            Subject::Unreadable { work } => {
                let Work::Unreadable { held, .. } = &self.open.works[*work] else { return None };
                let held = held.clone();
                self.bury_unreadable(*held);
                None
            }
            Subject::Stuck { held, reason } => {
                let (held, reason) = (held.clone(), reason.clone());
                self.bury_stuck(&held, &reason);
                None
            }
            Subject::Ruled { source, key } => {
                let name = (source.clone(), key.clone());
                self.try_ruled(name);
                None
            }
            Subject::RetryEnd { source, key, complete, holds } => {
                let (source, key, complete, holds) =
                    (source.clone(), key.clone(), *complete, *holds);
                self.end_retry(source, key, complete, holds);
                None
            }
            Subject::Message { message, via, poison } => {
                let (message, via, poison) = (message.clone(), *via, poison.clone());
                self.start_message(index, message, via, poison)
            }
        }
    }

    fn start_message(
        &mut self,
        index: usize,
        message: Arc<Message>,
        via: Via,
        poison: Option<String>,
    ) -> Option<TaskState> {
        let name = (message.source.clone(), message.key.clone());
        let held = self.held(&message.source, &message.key);
        match via {
            Via::Lane if held.is_some_and(|held| !is_overtaken(held.state)) => {
                self.hold_behind(&message);
                return None;
            }
            // One before it failed, or a person is to decide: what follows keeps its place.
            Via::Held { state: HeldState::Dead, .. } => {
                self.stand_still(name);
                return None;
            }
            Via::Held { .. }
                if self.open.retry_failed.contains(&name) && !broken(Mutant::RestOvertakes) =>
            {
                return None;
            }
            Via::Lane | Via::Held { .. } => {}
        }
        if let Some(reason) = poison {
            self.fail_message(&message, via, &HandlerError::terminal(reason));
            return None;
        }
        let cell = self.turn(message.saga, message.key.clone());
        self.open.tasks[index].span = tracing::info_span!(
            "process",
            "otel.name" = %format_args!("process {}", message.source.topic),
            "messaging.system" = "kafka",
            "messaging.operation.type" = "process",
            "messaging.destination.name" = %message.source.topic,
            "messaging.message.conversation_id" = %message.saga,
            saga = %message.saga,
            event_type = %message.event_type,
        );
        let stimulus =
            Stimulus { origin: Arc::new(origin(&message)), payload: message.payload.clone() };
        let run = self.reaction(stimulus, &cell);
        Some(TaskState::Running { run, cell })
    }

    /// What the service does about an event.
    pub(super) fn reaction(&self, stimulus: Stimulus, cell: &TurnCell) -> Run {
        let origin = stimulus.origin.clone();
        let (service, dispatch) = (self.service.clone(), self.dispatch.clone());
        self.accidents.befall(&origin, Box::pin(react(service, dispatch, stimulus, cell.clone())))
    }

    pub(super) fn turn(&self, saga: SagaId, key: Arc<str>) -> TurnCell {
        TurnCell::new(Context {
            saga,
            key,
            now: self.runtime.clock.now(),
            event_bytes_max: self.limits.event_bytes_max,
            steps: self.dispatch.steps.clone(),
        })
    }

    /// Gives a turn what it asked for, as it is at this moment. False when something must be loaded.
    fn fill_turn(&mut self, index: usize, cell: &TurnCell) -> bool {
        let wants = std::mem::take(&mut cell.lock().wants);
        let mut complete = true;
        for want in wants {
            if let Some(entry) = self.entry(&want.stream) {
                let Entry { kind, version, first_saga, state, .. } = entry.clone();
                let stream = want.stream;
                cell.lock().streams.push(InTurn { stream, kind, read: version, first_saga, state });
            } else {
                cell.lock().wants.push(want.clone());
                self.open.block(index, want);
                complete = false;
            }
        }
        complete
    }

    /// Polls a handler once. A panic is a bug in one message (P12).
    fn poll(
        &self,
        index: usize,
        run: &mut Run,
        cell: &TurnCell,
    ) -> Option<Result<(), HandlerError>> {
        let span = self.open.tasks[index].span.clone();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            span.in_scope(|| run.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())))
        }));
        match polled {
            Ok(Poll::Ready(result)) => Some(result),
            Ok(Poll::Pending) if cell.lock().wants.is_empty() => Some(Err(HandlerError::bug(
                "the handler awaits something other than its turn: handlers do no I/O, use no timers and no locks",
            ))),
            Ok(Poll::Pending) => None,
            Err(panic) => Some(Err(HandlerError::bug(format!(
                "the handler panicked: {}",
                panic_text(&*panic)
            )))),
        }
    }

    /// A stream that cannot be folded: whoever needs it fails, terminally.
    pub(super) fn unfoldable(&mut self, stream: &StreamId, error: &FoldError) {
        for index in self.open.blocked.remove(stream).unwrap_or_default() {
            let state = std::mem::replace(&mut self.open.tasks[index].state, TaskState::Ready);
            if let TaskState::Running { cell, .. } | TaskState::Settling { cell, .. } = state {
                cell.lock().wants.clear();
                cell.lock().drafts.clear();
                let result = Err(HandlerError::terminal(error.clone()));
                self.open.tasks[index].state = TaskState::Settling { cell, result };
                self.open.ready.insert(index);
            }
        }
    }
}

/// Only under a mutant: nothing overtakes what is held of its key (P11).
fn is_overtaken(state: HeldState) -> bool {
    match state {
        HeldState::Dead => broken(Mutant::DeadOvertaken),
        _ => broken(Mutant::RetryOvertaken),
    }
}

fn origin(message: &Message) -> Origin {
    Origin {
        id: message.id,
        event_type: message.event_type.clone(),
        saga: message.saga,
        key: message.key.clone(),
        time: message.time,
        source: message.source.clone(),
    }
}

/// What was recorded goes to streams that the handler need not have read: they are needed now.
fn ask_for_written_streams(cell: &TurnCell) {
    let mut turn = cell.lock();
    let streams: Vec<StreamId> = turn.drafts.iter().map(|d| d.stream.clone()).collect();
    for stream in streams {
        if turn.find(&stream).is_none() {
            turn.want(&stream, barrier::participation_type());
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with a value that is no text".to_owned())
}
