//! What a turn has read and recorded so far.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    aggregate::{AggregateType, AnyState, Draft},
    barrier,
    error::HandlerError,
    event::DomainEvent,
    id::{SagaId, StreamId, Version},
    runtime::Timestamp,
    service::StepDescription,
    turn::AgendaDraft,
};

/// A turn's state, shared by the handler and the decider. They never run at the same moment: the lock
/// is there because futures must be `Send`, and it is never held across an await.
#[derive(Clone)]
pub(crate) struct TurnCell(Arc<Mutex<TurnState>>);

impl TurnCell {
    pub(crate) fn new(context: Context) -> Self {
        Self(Arc::new(Mutex::new(TurnState::new(context))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TurnCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnCell")
    }
}

/// What is fixed for a turn.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) saga: SagaId,
    /// The key of the message; step states live under it. Empty for a command.
    pub(crate) key: Arc<str>,
    pub(crate) now: Timestamp,
    pub(crate) event_bytes_max: usize,
    pub(crate) steps: Arc<[StepDescription]>,
}

/// A stream that a handler waits for.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) stream: StreamId,
    pub(crate) kind: AggregateType,
}

/// A stream as this turn sees it.
#[derive(Clone)]
pub(crate) struct InTurn {
    pub(crate) stream: StreamId,
    pub(crate) kind: AggregateType,
    /// The version that was read; the append checks it (P10).
    pub(crate) read: Version,
    /// The correlation id of the stream's first event.
    pub(crate) first_saga: Option<SagaId>,
    /// The state with this turn's own facts applied.
    pub(crate) state: AnyState,
}

pub(crate) struct TurnState {
    pub(crate) context: Context,
    pub(crate) wants: Vec<Want>,
    /// Few: a turn touches a handful of streams, so a scan beats a map.
    pub(crate) streams: Vec<InTurn>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) agenda: Vec<AgendaDraft>,
    pub(crate) fault: Option<HandlerError>,
}

impl TurnState {
    fn new(context: Context) -> Self {
        Self {
            context,
            wants: vec![],
            streams: vec![],
            drafts: vec![],
            agenda: vec![],
            fault: None,
        }
    }

    pub(crate) fn find(&self, stream: &StreamId) -> Option<&InTurn> {
        self.streams.iter().find(|s| s.stream == *stream)
    }

    pub(crate) fn find_mut(&mut self, stream: &StreamId) -> Option<&mut InTurn> {
        self.streams.iter_mut().find(|s| s.stream == *stream)
    }

    /// Asks for a stream, once.
    pub(crate) fn want(&mut self, stream: &StreamId, kind: AggregateType) {
        if !self.wants.iter().any(|w| w.stream == *stream) {
            self.wants.push(Want { stream: stream.clone(), kind });
        }
    }

    pub(crate) fn record<E: DomainEvent>(&mut self, event: &E) {
        let key = event.key().unwrap_or_else(|| self.context.key.to_string());
        match barrier::stream(&key) {
            Ok(stream) => self.push(Draft::of(stream, event)),
            Err(error) => {
                self.fail(HandlerError::terminal(format!("{} has a bad key: {error}", E::TYPE)))
            }
        }
    }

    pub(crate) fn push(&mut self, draft: Draft) {
        if let Err(reason) = draft.check(self.context.event_bytes_max) {
            self.fail(HandlerError::terminal(reason));
        }
        self.drafts.push(draft);
    }

    /// Takes a deadline or an effect in.
    pub(crate) fn ask(&mut self, draft: Result<AgendaDraft, String>) {
        let checked = draft.and_then(|draft| {
            draft.check(self.context.event_bytes_max)?;
            Ok(draft)
        });
        match checked {
            Ok(draft) => self.agenda.push(draft),
            Err(reason) => self.fail(HandlerError::terminal(reason)),
        }
    }

    /// Keeps the first fault.
    pub(crate) fn fail(&mut self, error: HandlerError) {
        self.fault.get_or_insert(error);
    }
}
