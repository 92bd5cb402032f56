//! Notification over HTTP.
//!
//! * `GET /notifications/{order}`: where it stands, each try, and when the next one is due.
//! * `POST /notifications/{order}/again`: asks for it again. While it is being told, that changes nothing.
//!
//! Asking takes an `Idempotency-Key`.

use axum::{
    Router,
    extract::State as Shared,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use quadrille::{
    engine::Client,
    http::{Json, NoInput, Once, Path, Problem, interface},
    id::{EventId, SagaId},
};
use schemas::OrderId;
use serde::Serialize;

use crate::{
    AGAIN_MAX, AgainRefused, End, History, Notifications, State, TellAgain, Try, TryResult,
};

/// The service's HTTP interface.
pub fn router(client: Client<Notifications>) -> Router {
    let routes = Router::new()
        .route("/notifications/{order}", get(notification))
        .route("/notifications/{order}/again", post(again))
        .with_state(client.clone());
    interface(routes, client)
}

#[derive(Serialize)]
struct View {
    order: OrderId,
    saga: SagaId,
    state: State,
    webhook_id: EventId,
    end: End,
    ended_at: String,
    attempts: Vec<AttemptView>,
    next_attempt_at: Option<String>,
}

#[derive(Serialize)]
struct AttemptView {
    telling: u32,
    attempt: u32,
    at: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Try> for AttemptView {
    fn from(one: Try) -> Self {
        let Try { telling, attempt, at, result } = one;
        let (status, error) = match result {
            TryResult::Delivered => ("delivered", None),
            TryResult::Failed { error } => ("failed", Some(error)),
        };
        Self { telling, attempt, at: at.rfc3339(), status, error }
    }
}

async fn notification(
    Shared(client): Shared<Client<Notifications>>,
    Path(order): Path<OrderId>,
) -> Result<Json<View>, Problem> {
    let History { ending, state, tries, next_at } =
        History::read(&client, &order).await?.ok_or_else(unknown)?;
    Ok(Json(View {
        order,
        saga: ending.saga,
        state,
        webhook_id: ending.event,
        end: ending.end,
        ended_at: ending.at.rfc3339(),
        attempts: tries.into_iter().map(AttemptView::from).collect(),
        next_attempt_at: next_at.map(|at| at.rfc3339()),
    }))
}

/// Accepted: how it goes is to be asked for.
#[derive(Serialize)]
struct Accepted {
    order: OrderId,
    saga: SagaId,
}

async fn again(
    Shared(client): Shared<Client<Notifications>>,
    Path(order): Path<OrderId>,
    Once { key, .. }: Once<NoInput>,
) -> Result<impl IntoResponse, Problem> {
    let receipt = client.execute_keyed(key, &order, TellAgain).await?.map_err(not_again)?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { order, saga: receipt.saga })))
}

fn not_again(refusal: AgainRefused) -> Problem {
    match refusal {
        AgainRefused::Unknown => unknown(),
        AgainRefused::TooOften => {
            Problem::conflict("asked-too-often", "The notification was asked for too often")
                .detail(format!("it can be asked for {AGAIN_MAX} times"))
        }
    }
}

fn unknown() -> Problem {
    Problem::not_found("unknown-notification", "No end of this order is known here")
}
