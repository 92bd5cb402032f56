//! Carrying out one item, whatever its type.

use std::{marker::PhantomData, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;

use super::{Asked, Call, Effect, EffectError, EffectPolicy, GivenUp, Known, Performer};
use crate::{
    event::DomainEvent,
    mutant::{Mutant, broken},
    runtime::{BoxFuture, Clock},
};

/// What has become of one try.
#[derive(Debug)]
pub(crate) enum Performed {
    /// The outcome's payload.
    Outcome(Bytes),
    /// Not done; `begun` says whether it may have been.
    Failed { begun: bool, reason: String },
    /// No later try can succeed.
    Hopeless { begun: bool, reason: String },
}

impl Performed {
    /// What went wrong: its kind, and its words for a person.
    pub(crate) fn error(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Outcome(_) => None,
            Self::Failed { begun: false, reason } => Some(("not_sent", reason)),
            Self::Failed { begun: true, reason } => Some(("unknown_outcome", reason)),
            Self::Hopeless { reason, .. } => Some(("hopeless", reason)),
        }
    }
}

/// One try of one item.
pub(crate) struct Attempt {
    pub(crate) request: Bytes,
    pub(crate) call: Call,
    /// An earlier try may have reached the outside.
    pub(crate) begun: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A performer of any type.
pub(crate) trait AnyPerformer: Send + Sync {
    /// The effect's type name.
    fn name(&self) -> &'static str;
    /// The type name of what comes of it.
    fn outcome(&self) -> &'static str;
    fn policy(&self) -> EffectPolicy;
    fn attempt(self: Arc<Self>, attempt: Attempt) -> BoxFuture<'static, Performed>;
    /// The outcome when the schedule has ended, if there is one.
    fn give_up(&self, request: &[u8], last: &GivenUp) -> Option<Bytes>;
}

struct Erased<E, P>(P, PhantomData<fn(E)>);

/// Forgets a performer's type.
pub(crate) fn erase<E: Effect>(performer: impl Performer<E>) -> Arc<dyn AnyPerformer> {
    Arc::new(Erased(performer, PhantomData::<fn(E)>))
}

impl<E: Effect, P: Performer<E>> AnyPerformer for Erased<E, P> {
    fn name(&self) -> &'static str {
        E::TYPE
    }

    fn outcome(&self) -> &'static str {
        E::Outcome::TYPE
    }

    fn policy(&self) -> EffectPolicy {
        self.0.policy()
    }

    fn attempt(self: Arc<Self>, attempt: Attempt) -> BoxFuture<'static, Performed> {
        Box::pin(async move {
            let request: E = match serde_json::from_slice(&attempt.request) {
                Ok(request) => request,
                Err(error) => {
                    let reason = format!("the request does not fit {}: {error}", E::TYPE);
                    return Performed::Hopeless { begun: attempt.begun, reason };
                }
            };
            let tried =
                AssertUnwindSafe(try_once(&self.0, &request, &attempt)).catch_unwind().await;
            match tried {
                Ok(performed) => performed,
                Err(_) => Performed::Hopeless {
                    begun: true,
                    reason: format!("bug: the performer of {} panicked", E::TYPE),
                },
            }
        })
    }

    fn give_up(&self, request: &[u8], last: &GivenUp) -> Option<Bytes> {
        let request: E = serde_json::from_slice(request).ok()?;
        payload(&self.0.give_up(&request, last)?).ok()
    }
}

/// Asks first, when an earlier try may have arrived.
async fn try_once<E: Effect, P: Performer<E>>(
    performer: &P,
    request: &E,
    attempt: &Attempt,
) -> Performed {
    let timeout = performer.policy().timeout;
    let mut begun = attempt.begun;
    if begun && !broken(Mutant::NotAsked) {
        match within(attempt, timeout, performer.ask(request, &attempt.call)).await {
            Ok(Asked::Done(outcome)) => return done(&outcome),
            Ok(Asked::NotDone) => begun = false,
            Ok(Asked::CannotTell) => {}
            // What could not be asked is as unknown as before.
            Err(error) => return failed(&error, true),
        }
    }
    match within(attempt, timeout, performer.perform(request, &attempt.call)).await {
        Ok(outcome) => done(&outcome),
        Err(error) if broken(Mutant::UnknownIsRefusal) => failed(&error, false),
        Err(error) => failed(&error, begun || error.known == Known::Unknown),
    }
}

async fn within<T>(
    attempt: &Attempt,
    timeout: Duration,
    call: impl Future<Output = Result<T, EffectError>>,
) -> Result<T, EffectError> {
    let late = attempt.clock.sleep(timeout);
    tokio::select! {
        biased;
        result = call => result,
        () = late => Err(EffectError::unknown(format!("no answer within {timeout:?}"))),
    }
}

/// `begun` says whether any try so far may have arrived.
fn failed(error: &EffectError, begun: bool) -> Performed {
    let reason = error.chain();
    match error.known {
        Known::Hopeless => Performed::Hopeless { begun, reason },
        Known::NotSent | Known::Unknown => Performed::Failed { begun, reason },
    }
}

fn done<O: DomainEvent>(outcome: &O) -> Performed {
    match payload(outcome) {
        Ok(bytes) => Performed::Outcome(bytes),
        Err(reason) => Performed::Hopeless { begun: true, reason },
    }
}

fn payload<O: DomainEvent>(outcome: &O) -> Result<Bytes, String> {
    serde_json::to_vec(outcome)
        .map(Bytes::from)
        .map_err(|error| format!("{} cannot be serialised: {error}", O::TYPE))
}
