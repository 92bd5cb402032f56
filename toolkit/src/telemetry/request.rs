//! What a caller from outside brings, on its way to the command that it causes.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use super::{SpanContext, SpanId, TraceId, carried::Parts};

/// The W3C headers of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub(super) parent: Option<SpanContext>,
    pub(super) state: Option<String>,
    pub(super) baggage: Option<String>,
}

impl Caller {
    /// By the values of `traceparent`, `tracestate` and `baggage`. Without a `traceparent` that can be read
    /// there is no `tracestate` either, by W3C's rule.
    #[must_use]
    pub fn new(parent: Option<&str>, state: Option<&str>, baggage: Option<&str>) -> Self {
        let parent = parent.and_then(SpanContext::parse);
        Self {
            state: state.filter(|_| parent.is_some()).map(str::to_owned),
            baggage: baggage.map(str::to_owned),
            parent,
        }
    }

    #[cfg(feature = "http")]
    pub(crate) fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// What is stored under a context.
    pub(super) fn carry(&self, context: SpanContext) -> Arc<str> {
        let parent = context.to_string();
        let (state, baggage) = (self.state.as_deref(), self.baggage.as_deref());
        Parts { parent: &parent, state, baggage }.join()
    }
}

/// A request under way.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(super) caller: Caller,
    /// The span of the request itself, when it is to have one.
    pub(super) span: Option<SpanId>,
    /// The trace that its first command belongs to, and whether it is recorded.
    pub(super) trace: OnceLock<(TraceId, bool)>,
}

impl Request {
    pub(crate) fn new(caller: Caller, span: Option<SpanId>) -> Self {
        Self { caller, span, trace: OnceLock::new() }
    }
}

tokio::task_local! {
    static REQUEST: Arc<Request>;
}

/// The request that the current task serves.
pub(crate) fn current() -> Option<Arc<Request>> {
    REQUEST.try_with(Arc::clone).ok()
}

pub(crate) async fn serving<F: Future>(request: Arc<Request>, future: F) -> F::Output {
    REQUEST.scope(request, future).await
}

/// Runs a future whose commands continue the caller's trace. The interface of feature `http` does so by
/// itself; this is for other ways in.
pub async fn continuing<F: Future>(caller: Caller, future: F) -> F::Output {
    serving(Arc::new(Request::new(caller, None)), future).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_is_known_inside_and_only_there() {
        let caller = Caller::new(None, Some("lost=1"), Some("tenant=blue"));
        assert_eq!(caller.state, None);
        continuing(caller.clone(), async {
            assert_eq!(current().unwrap().caller, caller);
        })
        .await;
        assert!(current().is_none());
    }
}
