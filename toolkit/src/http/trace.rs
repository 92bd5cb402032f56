//! Each request has a span, and its commands continue the caller's trace.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, field::Empty};

use crate::{
    engine::{Client, status::Status},
    runtime::Runtime,
    service::Service,
    telemetry::{self, Answered, Caller},
};

/// What the spans of requests are made with; there is none before there is an engine.
#[derive(Clone, Debug)]
pub(crate) struct Tracing {
    pub(crate) status: Arc<Status>,
    pub(crate) runtime: Runtime,
}

/// Paths that probes ask every few seconds: no spans.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Runs the request in a `tracing` span named `http`, for the logs, and in a span of the trace that it
/// belongs to; the fields have the names of OpenTelemetry's conventions.
pub(super) async fn traced(
    service: &'static str,
    tracing: Option<Tracing>,
    request: Request,
    next: Next,
) -> Response {
    let span = tracing::info_span!(
        "http",
        service,
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        http.response.status_code = Empty,
    );
    let probe = PROBES.contains(&request.uri().path());
    let response = match tracing.filter(|_| !probe) {
        Some(tracing) => tracing.serve(request, next).instrument(span.clone()).await,
        None => next.run(request).instrument(span.clone()).await,
    };
    span.record("http.response.status_code", response.status().as_u16());
    response
}

impl Tracing {
    pub(super) fn of<S: Service>(client: &Client<S>) -> Self {
        Self { status: client.status.clone(), runtime: client.runtime.clone() }
    }

    async fn serve(self, request: Request, next: Next) -> Response {
        let caller = caller(request.headers());
        let tracer = &self.status.tracer;
        if !tracer.is_on() {
            return if caller.is_silent() {
                next.run(request).await
            } else {
                telemetry::continuing(caller, next.run(request)).await
            };
        }
        let mut answered = Answered {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            route: request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()),
            status: 0,
            start: self.runtime.clock.now(),
        };
        let served = Arc::new(tracer.request(caller, &self.runtime.entropy));
        let response = telemetry::serving(served.clone(), next.run(request)).await;
        answered.status = response.status().as_u16();
        tracer.answered(&served, answered, &self.runtime);
        response
    }
}

fn caller(headers: &HeaderMap) -> Caller {
    // W3C: one `traceparent`, or none that counts; the others may be spread over several headers.
    let mut parents = headers.get_all("traceparent").iter();
    let parent = match (parents.next(), parents.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let state = joined(headers, HeaderName::from_static("tracestate"));
    let baggage = joined(headers, HeaderName::from_static("baggage"));
    Caller::new(parent, state.as_deref(), baggage.as_deref())
}

fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
