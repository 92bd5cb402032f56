//! The turn: the only way in which a handler changes anything.
//!
//! A turn is a small conversation with the decider. A method that needs a stream which is not at hand
//! leaves a *want* and stays pending; the decider gathers the wants of all handlers of a wave, loads
//! them in one query, and polls again. There is no waker and no runtime in it.

mod agenda;
mod execute;
mod state;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

pub(crate) use agenda::{AgendaDraft, Wish};
pub use execute::{Execute, ExecuteAll, Load};
pub(crate) use execute::{Loaded, decide};
pub(crate) use state::{Context, InTurn, TurnCell, TurnState, Want};

use crate::{
    aggregate::{Aggregate, Command, Draft},
    barrier::{self, Participation},
    error::HandlerError,
    event::{Deadline, DomainEvent, Effect},
    id::SagaId,
    list::{DeclaredIn, Within},
    runtime::Timestamp,
};

/// What a handler holds while it reacts to one event; `Emits` is what it may record.
pub struct Turn<'t, Emits> {
    cell: &'t TurnCell,
    _emits: PhantomData<fn(Emits)>,
}

impl<'t, Emits> Turn<'t, Emits> {
    pub(crate) fn new(cell: &'t TurnCell) -> Self {
        Self { cell, _emits: PhantomData }
    }

    /// Lets an aggregate decide a command, and records what it decides.
    ///
    /// The outer result is for failures (`?` retries them); the inner one is the business's answer,
    /// and must be looked at.
    pub fn execute<C, I>(
        &mut self,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Execute<'_, C>
    where
        C: Command,
        C::Emits: Within<Emits, I>,
    {
        Execute::new(self.cell, id, command)
    }

    /// Lets several aggregates of one type decide, all or none: one load, and when one refuses, none
    /// of them changes. The refusal comes with the index of the command that refused.
    ///
    /// The same aggregate may occur twice; its second command sees the first one's facts.
    pub fn execute_all<'i, C, I>(
        &mut self,
        commands: impl IntoIterator<Item = (&'i <C::Aggregate as Aggregate>::Id, C)>,
    ) -> ExecuteAll<'_, C>
    where
        C: Command,
        C::Emits: Within<Emits, I>,
        <C::Aggregate as Aggregate>::Id: 'i,
    {
        ExecuteAll::new(self.cell, commands)
    }

    /// Reads an aggregate. What was read is checked at the commit (P10), also when nothing is recorded.
    pub fn load<A: Aggregate>(&mut self, id: &A::Id) -> Load<'_, A> {
        Load::new(self.cell, id)
    }

    /// States a fact under its key. A step's event must carry the key of the event that asked for it.
    ///
    /// Faults (a key that is empty or has control characters, an event above the size limit) make the
    /// whole turn terminal when the handler returns.
    pub fn record<E, I>(&mut self, event: E)
    where
        E: DomainEvent + DeclaredIn<Emits, I>,
    {
        self.cell.lock().record(&event);
    }

    /// Sets a deadline: it comes to this service's handler `after` this turn, exactly once (P13), unless
    /// it is cleared before. One of the type and key that is pending is moved.
    pub fn set_deadline<D, I>(&mut self, deadline: D, after: Duration)
    where
        D: Deadline + DeclaredIn<Emits, I>,
    {
        self.cell.lock().ask(AgendaDraft::set(&deadline, after));
    }

    /// Clears the deadline `D` under a key, if it is pending.
    pub fn clear_deadline<D: Deadline>(&mut self, key: &(impl fmt::Display + ?Sized)) {
        self.cell.lock().ask(Ok(AgendaDraft::clear::<D>(&key.to_string())));
    }

    /// Requests an effect (P14): it is carried out after the commit, at least once, under a key that stays
    /// the same; its outcome comes to this service's handler of it.
    pub fn request<E, I>(&mut self, effect: E)
    where
        E: Effect + DeclaredIn<Emits, I>,
    {
        self.cell.lock().ask(AgendaDraft::request(&effect));
    }

    /// Says that the step `E` is under way: its outcome will come in a later event, to a handler whose
    /// role is [`Outcome`](crate::handler::Role::Outcome). Without it, an action that returns without
    /// having recorded `E` has refused the step.
    pub fn begin<E, I>(&mut self)
    where
        E: DomainEvent + DeclaredIn<Emits, I>,
    {
        let mut state = self.cell.lock();
        barrier::begin(&mut state, E::TYPE);
    }

    /// Answers a cancellation for the step `E`, which this service owns: either nothing has happened
    /// and nothing will ([`InTime`](Forestall::InTime)), or it is [`TooLate`](Forestall::TooLate).
    ///
    /// # Errors
    /// Retryable when the stream cannot be loaded; a bug when `E` is not one of the service's steps.
    pub async fn forestall<E: DomainEvent>(&mut self) -> Result<Forestall, HandlerError> {
        let participation = self.participation().await?;
        let mut state = self.cell.lock();
        barrier::forestall(&mut state, &participation, E::TYPE)
    }

    /// The event `E` that this service recorded for this saga and key, in this turn or earlier, if it did.
    /// The deadline or the outcome that this turn is about is among them.
    ///
    /// # Errors
    /// Retryable when the stream cannot be loaded, terminal when the stored payload does not fit `E`.
    pub async fn recorded<E: DomainEvent>(&mut self) -> Result<Option<E>, HandlerError> {
        let participation = self.participation().await?;
        let drafted = barrier::drafted(&self.cell.lock(), E::TYPE);
        let payload = match &drafted {
            Some(payload) => Some(&payload[..]),
            None => participation.payload(self.saga(), E::TYPE),
        };
        payload
            .map(|bytes| serde_json::from_slice(bytes))
            .transpose()
            .map_err(HandlerError::terminal)
    }

    /// The saga.
    #[must_use]
    pub fn saga(&self) -> SagaId {
        self.cell.lock().context.saga
    }

    /// The time of this turn; use it instead of a clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.cell.lock().context.now
    }

    async fn participation(&mut self) -> Result<Arc<Participation>, HandlerError> {
        barrier::load(self.cell).await
    }
}

impl<Emits> fmt::Debug for Turn<'_, Emits> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn of saga {}", self.saga())
    }
}

/// The answer to a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forestall {
    /// Nothing had happened, and a late action will be refused.
    InTime,
    /// The step is done, or under way.
    TooLate,
    /// The step was refused, undone or forestalled before: there is nothing to answer.
    Already,
}

impl Draft {
    pub(crate) fn check(&self, event_bytes_max: usize) -> Result<(), String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.payload.len() > event_bytes_max {
            return Err(format!(
                "{} has {} bytes, above the limit of {event_bytes_max} bytes (`Limits::event_bytes_max`)",
                self.event_type,
                self.payload.len()
            ));
        }
        match &self.key {
            Some(key) => crate::id::check_text(key, crate::id::KEY_BYTES_MAX)
                .map_err(|e| format!("{} has a bad key: {e}", self.event_type)),
            None => Ok(()),
        }
    }
}
