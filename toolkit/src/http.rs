//! What a service's HTTP interface needs besides its own routes.
//!
//! * [`interface`] completes a service's routes: `/livez`, `/readyz`, `/metrics`, the [`operator`]'s, a limit for
//!   bodies, a span for each request, and a problem document for every path and method that does not exist.
//! * [`Json`] and [`Path`] read what a request brings, and say clearly what is wrong with it.
//! * [`Once`] makes a request safe to repeat, under the caller's `Idempotency-Key`.
//! * [`Problem`] is the one shape of every error: RFC 9457, `application/problem+json`.
//!
//! | what is wrong | status |
//! |---|---|
//! | not JSON, a path that is no id, a malformed `Idempotency-Key` | 400 |
//! | unknown path · wrong method | 404 · 405 |
//! | a body above [`BODY_BYTES_MAX`] · not `application/json` | 413 · 415 |
//! | JSON of the wrong shape, a value out of range, a key used for another request | 422 |
//! | refused by the business | the service's choice, 409 or 422 as a rule |
//! | too busy, shutting down, the store away | 503, try again |

mod access;
mod extract;
mod health;
mod once;
mod operator;
mod problem;
pub(crate) mod trace;

pub use access::{OperatorAccess, TOKEN_BYTES_MIN};
use axum::{Router, extract::DefaultBodyLimit, routing::get};
pub use extract::{Json, Path};
pub use once::{IDEMPOTENCY_KEY_BYTES_MAX, NoInput, Once};
pub use operator::operator;
pub use problem::Problem;

use crate::{
    engine::{Client, Health},
    service::Service,
};

/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Completes the routes of a service.
pub fn interface<S: Service>(routes: Router, client: Client<S>) -> Router {
    let routes = routes.merge(operator(client.clone()));
    let tracing = trace::Tracing::of(&client);
    let probes = Probes {
        health: {
            let client = client.clone();
            move || client.health()
        },
        metrics: move || {
            let client = client.clone();
            async move { client.fresh_metrics().await }
        },
    };
    complete(routes, S::NAME, probes, Some(tracing))
}

/// What the probes show.
#[derive(Clone)]
pub(crate) struct Probes<H, M> {
    pub(crate) health: H,
    pub(crate) metrics: M,
}

pub(crate) fn complete<H, M, T>(
    routes: Router,
    service: &'static str,
    probes: Probes<H, M>,
    tracing: Option<trace::Tracing>,
) -> Router
where
    H: Fn() -> Health + Clone + Send + Sync + 'static,
    M: Fn() -> T + Clone + Send + Sync + 'static,
    T: Future<Output = String> + Send,
{
    let Probes { health, metrics } = probes;
    routes
        .route("/livez", get(health::livez))
        .route("/readyz", get(move || async move { health::readyz(health()) }))
        .route("/metrics", get(move || async move { health::metrics(metrics().await) }))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(move |request, next| {
            trace::traced(service, tracing.clone(), request, next)
        }))
}

#[cfg(test)]
mod tests;
