//! Handlers and compensations: what a service does about the events of others.

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;

use crate::{
    engine::RetryPolicy,
    error::HandlerError,
    event::{DomainEvent, Incoming, Origin},
    list::EventList,
    runtime::BoxFuture,
    service::{Service, StepDescription},
    turn::{Turn, TurnCell},
};

/// Reacts to one event type. Write `#[handler]` above the impl: it checks that the event is listed.
///
/// # Contract
/// * *Order.* Events of one key and one source lane come in the order in which they were recorded.
///   Between different topics nothing is promised: every event in every state needs an answer.
/// * *Once in effect.* Everything that the turn changed commits together with the event's position. A
///   handler may run several times before one run is committed; runs that lose leave nothing.
/// * *Nothing but the turn.* A handler awaits nothing else: no I/O, no timers, no locks. The world
///   outside is reached after the commit. A handler that is pending without having asked its turn for
///   something is reported as a bug.
/// * *Errors.* See [`crate::error`]: retryable by `?`, terminal by `.terminal()?`.
/// * *Threads.* One decider runs all handlers of an instance on one task, so `&self` is for
///   configuration. State belongs into aggregates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `{E}` in `Handles`, but does not handle it",
    note = "write `#[handler] impl EventHandler<{E}> for {Self}`"
)]
pub trait EventHandler<E: DomainEvent>: Service {
    /// What it may record, directly or through commands, as a tuple. This is the graph.
    type Emits: EventList;
    /// Whether this event asks for a step, or brings the outcome of a step that is under way.
    const ROLE: Role = Role::Action;
    /// What becomes of the later events of a key behind a dead one.
    const BEHIND_A_DEAD_ONE: Behind = Behind::Wait;

    /// How an event is tried again after a failure that may pass. `None` is the engine's policy
    /// (`Config::retry`).
    fn retry(&self) -> Option<RetryPolicy> {
        None
    }

    #[doc(hidden)]
    const THE_HANDLER_ATTRIBUTE_IS_MISSING_ABOVE_THIS_IMPL: ();

    /// Reacts.
    ///
    /// # Errors
    /// A failure, never a business refusal: that is an event.
    fn handle(
        &self,
        event: &Incoming<E>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// What becomes of the later events of a key and a source lane when one of them is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behind {
    /// They wait, in order, until a person has decided on it.
    Wait,
    /// They pass: each stands for itself, and the dead one may be replayed after them.
    Pass,
}

/// What a handler's event is to the step that the handler performs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It asks for the step. The barrier lets it through once.
    Action,
    /// It brings the outcome of a step that [`Turn::begin`] left under way.
    Outcome,
}

/// Undoes a compensatable step, once, whatever asks for it. Write `#[handler]` above the impl.
///
/// # Contract
/// Called only when the step was done and not yet undone; the barrier answers every other case. It
/// has no business refusal: a compensation that cannot succeed ends with a person.
#[diagnostic::on_unimplemented(
    message = "`{Self}` performs the compensatable step `{E}`, but cannot undo it",
    label = "no `Undo<{E}>`",
    note = "write `#[handler] impl Undo<{E}> for {Self}`"
)]
pub trait Undo<E: DomainEvent>: Service {
    /// The failure events because of which the step is undone, as a tuple.
    type Because: EventList;
    /// What the compensation may record, as a tuple.
    type Emits: EventList;

    #[doc(hidden)]
    const THE_HANDLER_ATTRIBUTE_IS_MISSING_ABOVE_THIS_IMPL: ();

    /// Undoes `done`, the event that the step recorded.
    ///
    /// # Errors
    /// A failure; it is retried like a handler's.
    fn undo(
        &self,
        done: &E,
        cause: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// The event because of which a step is undone.
#[derive(Clone, Debug)]
pub struct Cause {
    pub(crate) origin: Arc<Origin>,
    pub(crate) payload: Bytes,
}

impl Cause {
    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The event, when it is an `E`.
    ///
    /// # Errors
    /// The payload does not fit `E`.
    pub fn event<E: DomainEvent>(&self) -> Result<Option<E>, serde_json::Error> {
        if &*self.origin.event_type == E::TYPE {
            serde_json::from_slice(&self.payload).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// A decoded handler call, ready to be polled.
pub(crate) type Run = BoxFuture<'static, Result<(), HandlerError>>;

/// What a reaction needs of the message.
#[derive(Clone, Debug)]
pub(crate) struct Stimulus {
    pub(crate) origin: Arc<Origin>,
    pub(crate) payload: Bytes,
}

/// Something that a service does about an event type.
pub(crate) enum Reaction<S: Service> {
    /// Its [`EventHandler`].
    Handle {
        role: Role,
        performs: Vec<StepDescription>,
        behind: Behind,
        retry: fn(&S) -> Option<RetryPolicy>,
        run: fn(Arc<S>, &Stimulus, TurnCell) -> Result<Run, serde_json::Error>,
    },
    /// One of its compensations.
    Undo(Compensation<S>),
}

/// How a step is undone.
pub(crate) struct Compensation<S> {
    pub(crate) step: &'static str,
    pub(crate) run: fn(Arc<S>, &[u8], Cause, TurnCell) -> Result<Run, serde_json::Error>,
}

impl<S> Clone for Compensation<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Compensation<S> {}

impl<S: Service> Reaction<S> {
    pub(crate) fn handler<E: DomainEvent>(performs: Vec<StepDescription>) -> Self
    where
        S: EventHandler<E>,
    {
        Self::Handle {
            role: S::ROLE,
            performs,
            behind: S::BEHIND_A_DEAD_ONE,
            retry: <S as EventHandler<E>>::retry,
            run: run_handler::<S, E>,
        }
    }

    pub(crate) fn undo<E: DomainEvent>() -> Self
    where
        S: Undo<E>,
    {
        Self::Undo(Compensation { step: E::TYPE, run: run_undo::<S, E> })
    }
}

impl<S: Service> fmt::Debug for Reaction<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle { performs, .. } => write!(f, "handle, performing {performs:?}"),
            Self::Undo(c) => write!(f, "undo {}", c.step),
        }
    }
}

fn run_handler<S: EventHandler<E>, E: DomainEvent>(
    service: Arc<S>,
    stimulus: &Stimulus,
    cell: TurnCell,
) -> Result<Run, serde_json::Error> {
    let event =
        Incoming::new(serde_json::from_slice::<E>(&stimulus.payload)?, stimulus.origin.clone());
    Ok(Box::pin(async move {
        let mut turn = Turn::new(&cell);
        service.handle(&event, &mut turn).await
    }))
}

fn run_undo<S: Undo<E>, E: DomainEvent>(
    service: Arc<S>,
    done: &[u8],
    cause: Cause,
    cell: TurnCell,
) -> Result<Run, serde_json::Error> {
    let done = serde_json::from_slice::<E>(done)?;
    Ok(Box::pin(async move {
        let mut turn = Turn::new(&cell);
        service.undo(&done, &cause, &mut turn).await
    }))
}
