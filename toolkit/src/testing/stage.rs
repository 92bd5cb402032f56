//! A service on its own: its handlers, compensations and barrier over streams in memory, one message at a
//! time. No engine, no clock, no tasks: a test says what arrives, when time is up, and how effects end, and
//! sees what the service states.
//!
//! A stage is cheap to clone, so that a test can try every order of arrival.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
};

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    aggregate::{Aggregate, AggregateType, Command, Draft, stream_of},
    barrier::{self, Dispatch, Participation, react},
    error::HandlerError,
    event::{Deadline, DomainEvent, Effect, Origin},
    handler::{Run, Stimulus},
    id::{EventId, Lane, SagaId, SourceLane, StreamId},
    list::AcceptedBy,
    runtime::Timestamp,
    service::Service,
    store::RecordedEvent,
    turn::{AgendaDraft, Context, InTurn, TurnCell, Wish, decide},
};

/// As in the engine's default limits.
const EVENT_BYTES_MAX: usize = 256 * 1024;
/// A turn that asks for more rounds of streams than this is going in circles.
const ROUNDS_MAX: usize = 64;

/// A public event that a service has stated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// Its type name.
    pub event_type: &'static str,
    /// Its JSON payload.
    pub payload: Bytes,
    /// Its key.
    pub key: Arc<str>,
    /// Its saga.
    pub saga: SagaId,
}

impl Said {
    /// An event as another service would have stated it.
    ///
    /// # Panics
    /// When the event cannot be serialised.
    #[must_use]
    pub fn by_another<E: DomainEvent>(event: &E, saga: SagaId) -> Self {
        let key = event.key().unwrap_or_default().into();
        let payload = match serde_json::to_vec(event) {
            Ok(bytes) => bytes.into(),
            Err(error) => panic!("{} cannot be serialised: {error}", E::TYPE),
        };
        Self { event_type: E::TYPE, payload, key, saga }
    }

    /// The event, when it is an `E`.
    ///
    /// # Panics
    /// When the payload of an `E` does not fit it.
    #[must_use]
    pub fn event<E: DomainEvent>(&self) -> Option<E> {
        let read = |payload| match serde_json::from_slice(payload) {
            Ok(event) => event,
            Err(error) => panic!("{} does not read what it wrote: {error}", E::TYPE),
        };
        (self.event_type == E::TYPE).then(|| read(&self.payload))
    }
}

/// A deadline that the service has set, or an effect that it has requested.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Its type name.
    pub event_type: &'static str,
    /// Its key.
    pub key: Arc<str>,
    /// Its saga.
    pub saga: SagaId,
    /// Its JSON payload.
    pub payload: Bytes,
    /// Whether it is a deadline.
    pub deadline: bool,
}

impl Pending {
    /// The deadline or effect, when it is an `E`.
    ///
    /// # Panics
    /// When the payload of an `E` does not fit it.
    #[must_use]
    pub fn event<E: DomainEvent>(&self) -> Option<E> {
        let said = Said {
            event_type: self.event_type,
            payload: self.payload.clone(),
            key: self.key.clone(),
            saga: self.saga,
        };
        said.event()
    }
}

/// A service, its streams, and what it has stated.
pub struct Stage<S: Service> {
    service: Arc<S>,
    dispatch: Arc<Dispatch<S>>,
    streams: BTreeMap<StreamId, Vec<RecordedEvent>>,
    said: Vec<Said>,
    pending: Vec<Pending>,
}

impl<S: Service> Clone for Stage<S> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            dispatch: self.dispatch.clone(),
            streams: self.streams.clone(),
            said: self.said.clone(),
            pending: self.pending.clone(),
        }
    }
}

impl<S: Service> fmt::Debug for Stage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stage of {}: {:?}", S::NAME, self.said)
    }
}

impl<S: Service> Stage<S> {
    /// A service to which nothing has happened.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self {
            service: Arc::new(service),
            dispatch: Arc::new(Dispatch::new()),
            streams: BTreeMap::new(),
            said: vec![],
            pending: vec![],
        }
    }

    /// All that it has stated publicly, in order.
    #[must_use]
    pub fn said(&self) -> &[Said] {
        &self.said
    }

    /// The deadlines and effects that it waits for, in the order in which it asked for them.
    #[must_use]
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// The time of its pending deadline `D` under `key` has come. When its handler fails, it is pending still.
    ///
    /// # Errors
    /// The handler's.
    ///
    /// # Panics
    /// When there is no such deadline.
    pub fn time_is_up<D: Deadline>(&mut self, key: &str) -> Result<(), HandlerError> {
        let pending = self.wanted(D::TYPE, key);
        let payload = self.pending[pending].payload.clone();
        self.come(pending, D::TYPE, payload)
    }

    /// Its pending effect `E` under `key` has been carried out. When the handler of the outcome fails, it
    /// is pending still.
    ///
    /// # Errors
    /// The handler's.
    ///
    /// # Panics
    /// When there is no such effect, or the outcome cannot be serialised.
    pub fn performed<E: Effect>(
        &mut self,
        key: &str,
        outcome: &E::Outcome,
    ) -> Result<(), HandlerError> {
        let pending = self.wanted(E::TYPE, key);
        let said = Said::by_another(outcome, self.pending[pending].saga);
        self.come(pending, said.event_type, said.payload)
    }

    fn wanted(&self, event_type: &str, key: &str) -> usize {
        let found = self.pending.iter().position(|p| p.event_type == event_type && &*p.key == key);
        found.unwrap_or_else(|| panic!("no {event_type} is pending under {key}"))
    }

    /// As in the engine: what has happened is recorded under its key, before its handler runs.
    fn come(
        &mut self,
        pending: usize,
        event_type: &'static str,
        payload: Bytes,
    ) -> Result<(), HandlerError> {
        let Pending { key, saga, .. } = self.pending[pending].clone();
        let stream = barrier::stream(&key).map_err(HandlerError::terminal)?;
        let cell = self.turn(saga, key.clone());
        let draft = Draft { stream, event_type, payload: payload.clone(), key: None, fault: None };
        cell.lock().push(draft);
        self.react(&Said { event_type, payload, key, saga }, &cell)?;
        self.pending.remove(pending);
        self.keep(&cell);
        Ok(())
    }

    /// Whether it does something about events of this type.
    #[must_use]
    pub fn consumes(&self, event_type: &str) -> bool {
        self.dispatch.consumes(event_type)
    }

    /// Lets an aggregate decide a command from outside. Its saga is the stream's, or `saga` when the
    /// stream is new.
    ///
    /// # Errors
    /// The business's refusal.
    ///
    /// # Panics
    /// When the id is none, or a stream cannot be folded.
    pub fn command<C, I>(
        &mut self,
        saga: SagaId,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Result<(), C::Refusal>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        let stream = stream_of::<C::Aggregate>(id).unwrap_or_else(|e| panic!("a bad id: {e}"));
        let read = self.read(&stream, AggregateType::of::<C::Aggregate>());
        let saga = read.first_saga.unwrap_or(saga);
        let cell = self.turn(saga, "".into());
        cell.lock().streams.push(read);
        let decided = decide(&mut cell.lock(), &stream, command);
        let answer = decided.unwrap_or_else(|e| panic!("the command failed: {e}"));
        answer.inspect(|()| self.keep(&cell))
    }

    /// Lets the service react to an event: its handler, and then its compensations. When that fails,
    /// nothing has changed.
    ///
    /// # Errors
    /// The handler's.
    pub fn deliver(&mut self, said: &Said) -> Result<(), HandlerError> {
        let cell = self.turn(said.saga, said.key.clone());
        self.react(said, &cell)?;
        self.keep(&cell);
        Ok(())
    }

    fn react(&self, said: &Said, cell: &TurnCell) -> Result<(), HandlerError> {
        let stimulus = Stimulus { origin: Arc::new(origin(said)), payload: said.payload.clone() };
        let run = react(self.service.clone(), self.dispatch.clone(), stimulus, cell.clone());
        self.run(Box::pin(run), cell)?;
        let fault = cell.lock().fault.take();
        fault.map_or(Ok(()), Err)
    }

    /// An aggregate; `None` when it has no events.
    ///
    /// # Panics
    /// When the id is none, or the stream cannot be folded.
    #[must_use]
    pub fn load<A: Aggregate>(&self, id: &A::Id) -> Option<A> {
        let stream = stream_of::<A>(id).unwrap_or_else(|e| panic!("a bad id: {e}"));
        let read = self.read(&stream, AggregateType::of::<A>());
        read.state.downcast_ref::<A>().filter(|_| read.read > 0).cloned()
    }

    /// What was stated under a key, and where the steps stand.
    ///
    /// # Panics
    /// When the key is none.
    #[must_use]
    pub fn participation(&self, key: &str) -> Participation {
        let stream = barrier::stream(key).unwrap_or_else(|e| panic!("a bad key: {e}"));
        let read = self.read(&stream, barrier::participation_type());
        read.state.downcast_ref::<Participation>().cloned().unwrap_or_default()
    }

    /// Everything that is stored, as text: equal for equal histories.
    #[must_use]
    pub fn image(&self) -> String {
        let events = self.streams.values().flatten();
        let line = |e: &RecordedEvent| {
            format!("{}@{} {} {:?}\n", e.stream, e.version, e.event_type, e.payload)
        };
        let pending = self.pending.iter().map(|p| format!("{} {:?}\n", p.event_type, p.payload));
        events.map(line).chain(pending).collect()
    }

    fn run(&self, mut run: Run, cell: &TurnCell) -> Result<(), HandlerError> {
        for _ in 0..ROUNDS_MAX {
            let polled = run.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
            if let Poll::Ready(result) = polled {
                return result;
            }
            let wants = std::mem::take(&mut cell.lock().wants);
            if wants.is_empty() {
                break;
            }
            let read = wants.iter().map(|want| self.read(&want.stream, want.kind));
            cell.lock().streams.extend(read.collect::<Vec<_>>());
        }
        Err(HandlerError::bug("the handler awaits something other than its turn"))
    }

    fn read(&self, stream: &StreamId, kind: AggregateType) -> InTurn {
        let events = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        InTurn {
            stream: stream.clone(),
            kind,
            read: events.len() as u64,
            first_saga: events.first().map(|event| event.saga),
            state: (kind.rebuild)(None, events).unwrap_or_else(|e| panic!("{e}")),
        }
    }

    fn turn(&self, saga: SagaId, key: Arc<str>) -> TurnCell {
        TurnCell::new(Context {
            saga,
            key,
            now: Timestamp::default(),
            event_bytes_max: EVENT_BYTES_MAX,
            steps: self.dispatch.steps.clone(),
        })
    }

    fn keep(&mut self, cell: &TurnCell) {
        let (saga, drafts, agenda) = {
            let mut turn = cell.lock();
            let drafts = std::mem::take(&mut turn.drafts);
            (turn.context.saga, drafts, std::mem::take(&mut turn.agenda))
        };
        for draft in drafts {
            self.keep_one(saga, draft);
        }
        for draft in agenda {
            self.plan(saga, draft);
        }
    }

    fn plan(&mut self, saga: SagaId, draft: AgendaDraft) {
        let AgendaDraft { name: event_type, key, wish } = draft;
        let (payload, deadline) = match wish {
            Wish::Request { payload } => (Some(payload), false),
            Wish::Set { payload, .. } => (Some(payload), true),
            Wish::Clear => (None, true),
        };
        if deadline {
            self.pending.retain(|p| !(p.deadline && p.event_type == event_type && p.key == key));
        }
        if let Some(payload) = payload {
            self.pending.push(Pending { event_type, key, saga, payload, deadline });
        }
    }

    fn keep_one(&mut self, saga: SagaId, draft: Draft) {
        let Draft { stream, event_type, payload, key, .. } = draft;
        if let Some(key) = key {
            self.said.push(Said { event_type, payload: payload.clone(), key, saga });
        }
        let events = self.streams.entry(stream.clone()).or_default();
        let version = events.len() as u64 + 1;
        events.push(RecordedEvent {
            id: EventId(Uuid::nil()),
            stream,
            version,
            event_type: event_type.into(),
            payload,
            saga,
            causation: String::new(),
            time: Timestamp::default(),
            trace: None,
            published: None,
        });
    }
}

fn origin(said: &Said) -> Origin {
    Origin {
        id: EventId(Uuid::nil()),
        event_type: said.event_type.into(),
        saga: said.saga,
        key: said.key.clone(),
        time: Timestamp::default(),
        source: SourceLane::new("stage", Lane(0)),
    }
}
