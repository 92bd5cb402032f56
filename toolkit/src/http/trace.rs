//! A span for each request.

use axum::{extract::Request, middleware::Next, response::Response};
use tracing::{Instrument, field::Empty};

/// Runs the request in a span named `http`; the fields have the names of OpenTelemetry's conventions.
pub(super) async fn traced(service: &'static str, request: Request, next: Next) -> Response {
    let span = tracing::info_span!(
        "http",
        service,
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        http.response.status_code = Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}
