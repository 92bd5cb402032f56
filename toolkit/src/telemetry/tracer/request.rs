//! The span of a request, whose trace is known only when its command is: a saga that no caller has traced
//! has its own id as trace id.

use super::Tracer;
use crate::{
    runtime::{Entropy, Runtime, Timestamp},
    telemetry::{Caller, Kind, Request, Span, SpanContext, SpanId, TraceId},
};

/// A request and its answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The path with names in the place of its variable parts.
    pub(crate) route: Option<String>,
    pub(crate) status: u16,
    pub(crate) start: Timestamp,
}

impl Tracer {
    /// A request that is to have a span.
    pub(crate) fn request(&self, caller: Caller, entropy: &Entropy) -> Request {
        let span = SpanId(random(entropy).max(1));
        let request = Request::new(caller, Some(span));
        if let (Some(parent), Some(sink)) = (request.caller.parent, self.traces.sink()) {
            // It was not set before.
            let sampled = sink.samples(Some(parent), parent.trace);
            let _ = request.trace.set((parent.trace, sampled));
        }
        request
    }

    /// It was answered: its span is told.
    pub(crate) fn answered(&self, request: &Request, answered: Answered, runtime: &Runtime) {
        let (Some(sink), Some(span)) = (self.traces.sink(), request.span) else { return };
        let (trace, sampled) = request.trace.get().copied().unwrap_or_else(|| {
            let trace = TraceId(runtime.new_uuid().as_u128());
            (trace, sink.samples(None, trace))
        });
        if !sampled {
            return;
        }
        let context = SpanContext { trace, span, sampled };
        let Answered { method, path, route, status, start } = answered;
        let name =
            route.as_ref().map_or_else(|| method.clone(), |route| format!("{method} {route}"));
        let mut span = Span::new(name, Kind::Server, context, start);
        span.end = runtime.clock.now();
        span.parent = request.caller.parent.map(|parent| parent.span);
        span.trace_state = request.caller.state.clone();
        span.text("http.request.method", method);
        span.text("url.path", path);
        span.text("url.scheme", "http");
        if let Some(route) = route {
            span.text("http.route", route);
        }
        span.number("http.response.status_code", status);
        if status >= 500 {
            span.text("error.type", status);
            span.error = Some(format!("answered with {status}"));
        }
        sink.export(span);
    }
}

fn random(entropy: &Entropy) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = entropy.bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
