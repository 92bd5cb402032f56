//! Whether to restart a service (`/livez`), whether to send it work (`/readyz`), and how it does
//! (`/metrics`).

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{Json, Problem};
use crate::{engine::Health, telemetry::metrics::CONTENT_TYPE};

#[derive(Serialize)]
struct Alive {
    alive: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
}

/// Asks nobody: a process that answers is alive, whatever its store and its log are doing.
pub(super) async fn livez() -> Json<impl Serialize> {
    Json(Alive { alive: true })
}

pub(super) fn readyz(health: Health) -> Response {
    if health.ready {
        return Json(Ready { ready: true }).into_response();
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The service is not ready")
        .detail(health.reasons.join("; "))
        .reasons(health.reasons)
        .into_response()
}

pub(super) fn metrics(text: String) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}
