//! How the world outside reaches a service: commands in, state out.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    decider::{CommandJob, Job, JobFailure},
    status::{Counters, Gate, Health, Status},
};
use crate::{
    aggregate::{Aggregate, AggregateType, Command, stream_of},
    barrier::{self, Participation},
    id::{CauseId, InvalidId, OURS, SagaId, SourceLane, StreamId, Version},
    list::AcceptedBy,
    runtime::Runtime,
    service::Service,
    store::{EventStore, HeldMessage, HeldState, StoreError, StreamRead},
    telemetry,
};

/// A committed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The saga that the command belongs to.
    pub saga: SagaId,
    /// The version of the aggregate's stream after it.
    pub version: Version,
}

/// Why a command has no answer from the business.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Too many commands wait (`Limits::commands_queued_max`). Nothing has happened; try again later.
    #[error("too busy: too many commands wait; try again later")]
    Busy,
    /// The service is shutting down. Nothing has happened.
    #[error("shutting down")]
    ShuttingDown,
    /// The store cannot answer, or the service has halted.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The key was used before, for another request. Nothing has happened.
    #[error("the key was used before, for another request")]
    KeyReused,
    /// The command can never succeed: a bad id, an event above the size limit, a bug.
    #[error("{0}")]
    Rejected(String),
}

/// What a caller calls one request of his, and what he asks for by it: for commands that may come twice.
///
/// The first request under a key is decided, and its answer is stored with its events, in one transaction
/// (P17). The same request again gets that answer; another one under the same key is
/// [`ClientError::KeyReused`]. Keys are forgotten after [`Limits::answers_kept`](super::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandKey {
    cause: CauseId,
    request: Uuid,
}

impl CommandKey {
    /// A key in a scope (keys of different scopes have nothing to do with each other), and everything that
    /// makes the request what it is. The same parts give the same key in every version of a program.
    #[must_use]
    pub fn new(scope: &str, key: &str, request: &[&[u8]]) -> Self {
        let name = |parts: &[&[u8]]| {
            let mut name = b"command".to_vec();
            for part in parts {
                name.extend((part.len() as u64).to_be_bytes());
                name.extend_from_slice(part);
            }
            Uuid::new_v5(&OURS, &name)
        };
        let cause = CauseId(name(&[scope.as_bytes(), key.as_bytes()]));
        Self { cause, request: name(request) }
    }

    /// The command's id in the store.
    #[must_use]
    pub fn cause(&self) -> CauseId {
        self.cause
    }
}

/// An answer as it is stored.
#[derive(serde::Deserialize)]
struct Stored<'a> {
    request: Option<Uuid>,
    #[serde(borrow)]
    answer: &'a RawValue,
}

/// How long whoever reads the metrics waits for the store.
const COUNT_LETTERS_WITHIN: Duration = Duration::from_secs(1);

/// A handle to a running service. Cheap to clone; usable from any task.
pub struct Client<S: Service> {
    pub(crate) jobs: mpsc::Sender<Box<dyn Job>>,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) status: Arc<Status>,
    pub(crate) runtime: Runtime,
    pub(crate) _service: std::marker::PhantomData<fn(S)>,
}

impl<S: Service> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            store: self.store.clone(),
            status: self.status.clone(),
            runtime: self.runtime.clone(),
            _service: std::marker::PhantomData,
        }
    }
}

impl<S: Service> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client of {}", S::NAME)
    }
}

impl<S: Service> Client<S> {
    /// Lets an aggregate decide a command; resolves when the decision, a refusal included, is durable.
    ///
    /// # Errors
    /// See [`ClientError`]. When this future is dropped, the command may still be committed.
    pub async fn execute<C, I>(
        &self,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Result<Result<Receipt, C::Refusal>, ClientError>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        let stream = stream_of::<C::Aggregate>(id)?;
        match self.submit(stream, command, None, None).await? {
            Ok(answer) => Ok(answer),
            Err(JobFailure::Client(error)) => Err(error),
            Err(JobFailure::AlreadyDone) => {
                Err(ClientError::Rejected("the command's id was used twice".into()))
            }
        }
    }

    /// As [`execute`](Self::execute), under an id that the caller chose: a repeated command gets the
    /// first answer (P17), also after a crash between commit and answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn execute_once<C, I>(
        &self,
        cause: CauseId,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Result<Result<Receipt, C::Refusal>, ClientError>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        self.execute_as(cause, None, id, command).await
    }

    /// As [`execute`](Self::execute), under a key of the caller's, if he gave one. A request that comes
    /// while the first of its key is being decided waits for its answer.
    ///
    /// # Errors
    /// See [`ClientError`]. None of them is stored: the key is still free.
    pub async fn execute_keyed<C, I>(
        &self,
        key: Option<CommandKey>,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Result<Result<Receipt, C::Refusal>, ClientError>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        match key {
            Some(key) => self.execute_as(key.cause, Some(key.request), id, command).await,
            None => self.execute(id, command).await,
        }
    }

    async fn execute_as<C: Command>(
        &self,
        cause: CauseId,
        request: Option<Uuid>,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Result<Result<Receipt, C::Refusal>, ClientError> {
        let stream = stream_of::<C::Aggregate>(id)?;
        if let Some(answer) = self.first_answer::<C>(cause, request).await? {
            return Ok(answer);
        }
        match self.submit(stream, command, Some(cause), request).await? {
            Ok(answer) => Ok(answer),
            Err(JobFailure::Client(error)) => Err(error),
            Err(JobFailure::AlreadyDone) => match self.first_answer::<C>(cause, request).await? {
                Some(answer) => Ok(answer),
                None => Err(ClientError::Unavailable(
                    "the command's first answer cannot be read yet".into(),
                )),
            },
        }
    }

    async fn first_answer<C: Command>(
        &self,
        cause: CauseId,
        request: Option<Uuid>,
    ) -> Result<Option<Result<Receipt, C::Refusal>>, ClientError> {
        let Some(body) = self.store.answer(cause).await? else { return Ok(None) };
        let other = |error: serde_json::Error| {
            ClientError::Rejected(format!("the first answer was another command's: {error}"))
        };
        let stored: Stored<'_> = serde_json::from_slice(&body).map_err(other)?;
        if stored.request != request {
            return Err(ClientError::KeyReused);
        }
        serde_json::from_str(stored.answer.get()).map(Some).map_err(other)
    }

    async fn submit<C: Command>(
        &self,
        stream: StreamId,
        command: C,
        cause: Option<CauseId>,
        request: Option<Uuid>,
    ) -> Result<Result<Result<Receipt, C::Refusal>, JobFailure>, ClientError> {
        if let Gate::Halted(reason) = &*self.status.gate().borrow() {
            return Err(ClientError::Unavailable(format!("halted: {reason}")));
        }
        let (reply, answer) = oneshot::channel();
        let traced = telemetry::current();
        let job = CommandJob::new(stream, command, cause, request, traced, reply);
        self.jobs.try_send(Box::new(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ClientError::Busy,
            mpsc::error::TrySendError::Closed(_) => ClientError::ShuttingDown,
        })?;
        answer.await.map_err(|_| ClientError::ShuttingDown)
    }

    /// Reads an aggregate from the store: what is durable. `None` when it has no events.
    ///
    /// # Errors
    /// A bad id, or a store that cannot answer.
    pub async fn load<A: Aggregate>(&self, id: &A::Id) -> Result<Option<A>, ClientError> {
        let state = self.read(stream_of::<A>(id)?, AggregateType::of::<A>()).await?;
        Ok(state.and_then(|state| state.downcast_ref::<A>().cloned()))
    }

    /// Reads what this service has stated under a key, and where its steps stand.
    ///
    /// # Errors
    /// A bad key, or a store that cannot answer.
    pub async fn participation(&self, key: &str) -> Result<Participation, ClientError> {
        let state = self.read(barrier::stream(key)?, barrier::participation_type()).await?;
        Ok(state
            .and_then(|state| state.downcast_ref::<Participation>().cloned())
            .unwrap_or_default())
    }

    async fn read(
        &self,
        stream: StreamId,
        kind: AggregateType,
    ) -> Result<Option<crate::aggregate::AnyState>, ClientError> {
        let read = StreamRead { stream, snapshot_version: kind.snapshot_version };
        let slices = self.store.load(&[read]).await?;
        let Some(slice) = slices.into_iter().next().filter(|slice| slice.version > 0) else {
            return Ok(None);
        };
        let snapshot: Option<&Bytes> = slice.snapshot.as_ref().map(|(_, state)| state);
        let state = (kind.rebuild)(snapshot.map(|b| &b[..]), &slice.events)
            .map_err(|error| ClientError::Rejected(error.to_string()))?;
        Ok(Some(state))
    }

    /// The messages that are held back in a given state, oldest first, at most `limit`.
    ///
    /// # Errors
    /// A store that cannot answer.
    pub async fn held(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, ClientError> {
        Ok(self.store.held_in(state, limit).await?)
    }

    /// Whether the service can do its work.
    #[must_use]
    pub fn health(&self) -> Health {
        self.status.health()
    }

    /// The lanes that were stopped, and why (P3, P8).
    #[must_use]
    pub fn stopped_lanes(&self) -> Vec<(SourceLane, String)> {
        self.status.stopped_lanes().into_iter().collect()
    }

    /// What `/metrics` shows: as [`metrics`](Self::metrics), with the dead letters of the store as they are
    /// now. When it has not counted them within a second, they are left out.
    pub async fn fresh_metrics(&self) -> String {
        let late = self.runtime.clock.sleep(COUNT_LETTERS_WITHIN);
        let counts = tokio::select! {
            biased;
            counts = self.store.count_letters() => counts.ok(),
            () = late => None,
        };
        self.status.gauges.letters(counts);
        self.metrics()
    }

    /// Counters, gauges and histograms in Prometheus' text format, without asking anybody.
    #[must_use]
    pub fn metrics(&self) -> String {
        telemetry::metrics::text(&self.status, &*self.runtime.clock)
    }

    /// What the engine has counted since it started.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.status.counters.read()
    }
}

impl From<InvalidId> for ClientError {
    fn from(error: InvalidId) -> Self {
        Self::Rejected(error.to_string())
    }
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
