//! The world outside: carrying out what turns request, after the commit (P14).
//!
//! A turn records an [`Effect`]; a [`Performer`] carries it out, at least once, under a key that is
//! the same at every try; its outcome comes back as an event, to the handler of that event.

mod performing;
mod schedule;
mod tried;

use std::{fmt, future::Future, sync::Arc, time::Duration};

pub(crate) use performing::{AnyPerformer, Attempt, Performed, erase};
pub use schedule::{NotASchedule, PAUSE_MAX, PAUSES_MAX, Schedule};
pub(crate) use tried::Tried;
pub use tried::{FailedTry, OpenEffect, Tries};

pub use crate::event::Effect;
use crate::{
    engine::RetryPolicy,
    id::{AgendaId, SagaId},
    runtime::Timestamp,
    store::BoxError,
};

/// Carries out the effects of one type.
///
/// # Contract
/// * *At least once.* The same request may be performed several times, also at the same moment by two
///   instances after a pause; each time under the same [`key`](Call::key). Pass it on to the outside.
/// * *Ask first.* After a try whose outcome nobody knows (a time-out, a crash), [`ask`](Self::ask)
///   comes before the next [`perform`](Self::perform).
/// * *A refusal is an outcome.* "Declined" is `Ok`. An error says that the outcome is not known, or that
///   nothing has happened ([`EffectError::not_sent`]).
/// * *Threads.* Called from any task, at most [`EffectPolicy::concurrency`] at a time in an instance.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not perform `{E}`",
    note = "write `impl Performer<{E}> for {Self}`"
)]
pub trait Performer<E: Effect>: Send + Sync + 'static {
    /// Time-out, concurrency and schedule.
    fn policy(&self) -> EffectPolicy {
        EffectPolicy::default()
    }

    /// Carries it out.
    ///
    /// # Errors
    /// See [`EffectError`]: each constructor says what is known.
    fn perform(
        &self,
        request: &E,
        call: &Call,
    ) -> impl Future<Output = Result<E::Outcome, EffectError>> + Send;

    /// Asks the outside what has become of an earlier try under the same key. Where it offers no such query,
    /// leave this as it is: the request is then sent again, under the same key.
    ///
    /// # Errors
    /// It could not be asked; the question comes again.
    fn ask(
        &self,
        request: &E,
        call: &Call,
    ) -> impl Future<Output = Result<Asked<E::Outcome>, EffectError>> + Send {
        let _ = (request, call);
        async { Ok(Asked::CannotTell) }
    }

    /// The schedule has ended. `Some` outcome ends the effect with it: for what the business can do
    /// without, such as a notification. `None`, the default, leaves it to a person: an outcome that nobody
    /// knows is never taken for a refusal.
    fn give_up(&self, request: &E, last: &GivenUp) -> Option<E::Outcome> {
        let _ = (request, last);
        None
    }
}

/// Who carries out which effects: one performer an effect type.
///
/// ```
/// # use quadrille::{effect::*, prelude::*};
/// # fn example<E: Effect>(gateway: impl Performer<E>) -> Performers {
/// Performers::new().with::<E>(gateway)
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Performers(Vec<Arc<dyn AnyPerformer>>);

impl Performers {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one, instead of whoever performed `E` before.
    #[must_use]
    pub fn with<E: Effect>(mut self, performer: impl Performer<E>) -> Self {
        self.0.retain(|other| other.name() != E::TYPE);
        self.0.push(erase(performer));
        self
    }

    /// Those of `others`, and its own where these have none.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn overlaid(mut self, others: Self) -> Self {
        self.0.retain(|own| others.0.iter().all(|other| other.name() != own.name()));
        self.0.extend(others.0);
        self
    }

    pub(crate) fn all(&self) -> &[Arc<dyn AnyPerformer>] {
        &self.0
    }
}

impl fmt::Debug for Performers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|performer| performer.name())).finish()
    }
}

/// What the outside says about an earlier try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked<O> {
    /// It was done, with this outcome.
    Done(O),
    /// It never arrived, and will not arrive any more: it is sent again.
    NotDone,
    /// It cannot tell: the request is sent again, under the same key.
    CannotTell,
}

/// One try.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// Identifies the effect at every try, unique over all services: the `Idempotency-Key`.
    pub key: AgendaId,
    /// The saga.
    pub saga: SagaId,
    /// 1 at the first try.
    pub attempt: u32,
    /// When the turn asked for it.
    pub requested_at: Timestamp,
    /// The `traceparent` to pass on: the span of this try. A header's value as it is.
    pub trace: Option<std::sync::Arc<str>>,
    /// The `tracestate` that belongs to it. The `baggage` is not passed on: it is for those who take part in
    /// the saga, and the outside does not.
    pub trace_state: Option<std::sync::Arc<str>>,
}

/// An effect whose schedule has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GivenUp {
    /// How often it was tried.
    pub attempts: u32,
    /// Whether it may have been done all the same.
    pub begun: bool,
    /// The last error.
    pub reason: String,
}

/// Why a try has no outcome.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct EffectError {
    what: &'static str,
    pub(crate) known: Known,
    #[source]
    source: BoxError,
}

/// What is known after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    NotSent,
    Unknown,
    Hopeless,
}

impl EffectError {
    /// Surely nothing has happened outside: the connection was refused, the outside said "later". Tried again
    /// without asking.
    pub fn not_sent(source: impl Into<BoxError>) -> Self {
        Self { what: "nothing was sent", known: Known::NotSent, source: source.into() }
    }

    /// Nobody knows: a time-out, a lost answer, an internal error outside. Asked for, then tried again.
    pub fn unknown(source: impl Into<BoxError>) -> Self {
        Self { what: "the outcome is not known", known: Known::Unknown, source: source.into() }
    }

    /// No later try can succeed, and it is not the business's refusal: the request is malformed, the
    /// credentials are wrong. A person decides.
    pub fn hopeless(source: impl Into<BoxError>) -> Self {
        Self { what: "it cannot succeed", known: Known::Hopeless, source: source.into() }
    }

    /// Whether it was made by [`hopeless`](Self::hopeless). For effects that the business can do without: they
    /// end here with an outcome, and no person is asked.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.known == Known::Hopeless
    }

    /// The whole chain of sources, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.what.to_owned();
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&*self.source);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

/// Bounds of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectPolicy {
    /// How long one call may take before its outcome counts as unknown. 10 s by default.
    pub timeout: Duration,
    /// How many are carried out at the same time in one instance. 16 by default.
    pub concurrency: usize,
    /// When it is tried again.
    pub schedule: Schedule,
}

impl Default for EffectPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            concurrency: 16,
            schedule: Schedule::Backoff(RetryPolicy::default()),
        }
    }
}

impl EffectPolicy {
    /// With another time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With another concurrency.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// With another schedule.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }
}
