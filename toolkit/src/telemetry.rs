//! Traces and metrics: how one saga becomes one picture over all services.
//!
//! ```text
//! POST /orders ─► decide PlaceOrder ─► send shop.order.events
//!                        │
//!                        └─► process shop.order.events (payment) ─► send shop.payment.events
//!                                   │
//!                                   └─► process shop.payment.events (inventory) ─► …
//! ```
//!
//! * *One saga is one trace.* Each event is stored and published with the context of the span that decided
//!   it, and `process` takes that context as its parent ([`Parentage::Link`] makes it a link instead). A
//!   saga that no caller has traced has its own id as trace id.
//! * *The ids are the engine's.* What is stored with an event must come out the same when it is decided
//!   again, and the same for the same seed. So no tracer makes ids: a span's id is derived from the event's
//!   or the command's own, which come from [`Runtime`](crate::runtime::Runtime), and an exporter is handed
//!   finished [`Span`]s. That is why the `tracing` bridge is not used here: it makes ids of its own. The
//!   `tracing` spans of the engine are for logs.
//! * *Nothing is told before it is durable* (P15). Spans of a batch are exported when it is committed. A
//!   process that is killed between the two loses those spans, never the trace: it goes on from what is
//!   stored.
//! * *Off costs next to nothing.* Without an exporter a message's context is handed on by reference, to the
//!   events that follow from it, unchanged; nothing is parsed or allocated for it.
//!
//! `tracestate` and `baggage` are stored behind the `traceparent`, and carried on the same way.
//!
//! Spans leave through a [`SpanSink`] in [`Config::traces`](crate::engine::Config::traces); feature `otel`
//! brings the one for OTLP.

pub(crate) mod carried;
mod context;
mod derive;
pub(crate) mod metrics;
#[cfg(feature = "otel")]
pub mod otlp;
mod request;
mod sampler;
mod span;
mod tracer;

use std::{fmt, sync::Arc};

pub use carried::{BAGGAGE_BYTES_MAX, TRACE_STATE_BYTES_MAX};
pub use context::{SpanContext, SpanId, TraceId};
#[cfg(feature = "http")]
pub(crate) use request::serving;
pub use request::{Caller, continuing};
pub(crate) use request::{Request, current};
pub use sampler::{Sampler, SamplerError};
pub use span::{Kind, Span, Value};
#[cfg(feature = "http")]
pub(crate) use tracer::Answered;
pub(crate) use tracer::{Decided, Hop, Pending, Tracer};

/// The most links that a span has; of more, the number is told.
pub const SPAN_LINKS_MAX: usize = 64;

/// Takes finished spans.
///
/// # Contract
/// Neither method blocks or waits: both are called by the engine between two batches. What a sink cannot
/// take it drops and counts.
pub trait SpanSink: Send + Sync + fmt::Debug + 'static {
    /// Whether a span is recorded, by its parent and its trace. Asked when a span would begin; the answer
    /// becomes the `sampled` flag of the context that is stored.
    fn samples(&self, parent: Option<SpanContext>, trace: TraceId) -> bool;

    /// Takes a finished span.
    fn export(&self, span: Span);

    /// How many spans it has dropped since it was made.
    fn dropped(&self) -> u64 {
        0
    }
}

/// Where an engine's spans go: nowhere, or to a sink. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<dyn SpanSink>>);

impl Traces {
    /// No spans.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Spans to this sink.
    #[must_use]
    pub fn to(sink: Arc<dyn SpanSink>) -> Self {
        Self(Some(sink))
    }

    pub(crate) fn sink(&self) -> Option<&dyn SpanSink> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(sink) => write!(f, "Traces to {sink:?}"),
            None => f.write_str("Traces off"),
        }
    }
}

/// What an event's creation context is to the `process` span of its consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parentage {
    /// Its parent: one saga is one trace.
    #[default]
    Parent,
    /// A link: every hop is a trace of its own, as the messaging conventions have it by default.
    Link,
}
