//! A command from outside, of any type, on its way through the decider.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    aggregate::{AggregateType, Command},
    engine::client::{ClientError, Receipt},
    error::HandlerError,
    handler::Run,
    id::{CauseId, StreamId},
    service::short_name,
    telemetry::Request,
    turn::{Loaded, TurnCell, decide},
};

/// Why a job got no answer from the business.
#[derive(Debug)]
pub(crate) enum JobFailure {
    Client(ClientError),
    /// Its id was used before: the first answer is in the store.
    AlreadyDone,
}

/// A command of any type. It may be decided several times; it is answered once.
pub(crate) trait Job: Send + fmt::Debug {
    fn name(&self) -> &'static str;
    fn stream(&self) -> &StreamId;
    fn cause(&self) -> Option<CauseId>;
    /// The request that it serves, for its trace.
    fn request(&self) -> Option<&Arc<Request>>;
    /// Decides in a turn; the last decision is the one that counts.
    fn start(&self, cell: TurnCell) -> Run;
    /// The answer of the last decision, as it is stored for a repeated command (P17).
    fn answer(&self, receipt: Receipt) -> Option<Bytes>;
    fn succeed(self: Box<Self>, receipt: Receipt);
    fn fail(self: Box<Self>, failure: JobFailure);
}

/// An answer as it is stored.
#[derive(Serialize)]
struct Stored<'a, R> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Uuid>,
    answer: Result<Receipt, &'a R>,
}

type Reply<R> = oneshot::Sender<Result<Result<Receipt, R>, JobFailure>>;

pub(crate) struct CommandJob<C: Command> {
    stream: StreamId,
    command: C,
    cause: Option<CauseId>,
    /// What was asked for under the cause, when its caller wants that to be compared.
    asked: Option<Uuid>,
    request: Option<Arc<Request>>,
    verdict: Arc<Mutex<Option<Result<(), C::Refusal>>>>,
    reply: Reply<C::Refusal>,
}

impl<C: Command> CommandJob<C> {
    pub(crate) fn new(
        stream: StreamId,
        command: C,
        cause: Option<CauseId>,
        asked: Option<Uuid>,
        request: Option<Arc<Request>>,
        reply: Reply<C::Refusal>,
    ) -> Self {
        Self { stream, command, cause, asked, request, verdict: Arc::default(), reply }
    }
}

impl<C: Command> fmt::Debug for CommandJob<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", short_name::<C>(), self.stream)
    }
}

impl<C: Command> Job for CommandJob<C> {
    fn name(&self) -> &'static str {
        short_name::<C>()
    }

    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn cause(&self) -> Option<CauseId> {
        self.cause
    }

    fn request(&self) -> Option<&Arc<Request>> {
        self.request.as_ref()
    }

    fn start(&self, cell: TurnCell) -> Run {
        let (stream, command, slot) =
            (self.stream.clone(), self.command.clone(), self.verdict.clone());
        Box::pin(async move {
            let kind = AggregateType::of::<C::Aggregate>();
            Loaded { cell: &cell, stream: Ok(stream.clone()), kind }.await?;
            let verdict = decide(&mut cell.lock(), &stream, command)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
            Ok::<(), HandlerError>(())
        })
    }

    fn answer(&self, receipt: Receipt) -> Option<Bytes> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = verdict.as_ref()?.as_ref().map(|()| receipt);
        serde_json::to_vec(&Stored { request: self.asked, answer }).ok().map(Bytes::from)
    }

    fn succeed(self: Box<Self>, receipt: Receipt) {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A receiver that is gone does not want to know: the command stands all the same.
        let _ = match verdict {
            Some(verdict) => self.reply.send(Ok(verdict.map(|()| receipt))),
            None => self.reply.send(Err(JobFailure::Client(ClientError::Rejected(
                "the command was never decided".into(),
            )))),
        };
    }

    fn fail(self: Box<Self>, failure: JobFailure) {
        let _ = self.reply.send(Err(failure));
    }
}
