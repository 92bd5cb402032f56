//! What befalls a handler in a simulation: it fails for a reason that is none of its own.

use std::fmt;
#[cfg(any(test, feature = "testing"))]
use std::sync::Arc;

#[cfg(any(test, feature = "testing"))]
use crate::error::HandlerError;
use crate::{event::Origin, handler::Run};

/// When a handler fails.
#[derive(Debug)]
#[cfg(any(test, feature = "testing"))]
pub(crate) enum Accident {
    /// Before it has done anything.
    Before(HandlerError),
    /// When it has decided: nothing of that may count.
    After(HandlerError),
}

#[cfg(any(test, feature = "testing"))]
pub(crate) type Ask = dyn Fn(&Origin) -> Option<Accident> + Send + Sync;

/// Asked before each call of a handler. Outside of tests there are none.
#[derive(Clone, Default)]
pub(crate) struct Accidents {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) ask: Option<Arc<Ask>>,
}

impl fmt::Debug for Accidents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accidents")
    }
}

impl Accidents {
    /// The handler's run, as it goes in the end.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn befall(&self, origin: &Origin, run: Run) -> Run {
        match self.ask.as_ref().and_then(|ask| ask(origin)) {
            None => run,
            Some(Accident::Before(error)) => Box::pin(async move { Err(error) }),
            Some(Accident::After(error)) => Box::pin(async move { run.await.and(Err(error)) }),
        }
    }

    /// The handler's run, as it is.
    #[cfg(not(any(test, feature = "testing")))]
    pub(crate) fn befall(&self, _: &Origin, run: Run) -> Run {
        run
    }
}
