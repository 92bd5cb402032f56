//! The operator's interface: what is dead, what was ruled, and what happened in a saga.
//!
//! | | |
//! |---|---|
//! | `GET /operator/letters` | all dead letters |
//! | `GET /operator/letter?id=…` | one letter, dead or not |
//! | `POST /operator/rulings` | replays, skips, resolves or answers a dead letter; recorded with who and why |
//! | `GET /operator/rulings?after=…` | what was ruled |
//! | `GET /operator/sagas/{saga}` | everything of a saga in this service |
//!
//! Who may use it is said by an [`OperatorAccess`](super::OperatorAccess) extension of the whole router; without one
//! nobody may.

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{Json, Path, Problem};
use crate::{
    engine::Client,
    id::SagaId,
    operator::{LetterView, RulingError, RulingRequest, RulingView, SagaView},
    service::Service,
    store::LetterId,
};

/// The operator's routes of a service, closed to all but whom an [`OperatorAccess`](super::OperatorAccess) lets in.
pub fn operator<S: Service>(client: Client<S>) -> Router {
    Router::new()
        .route("/operator/letters", get(letters::<S>))
        .route("/operator/letter", get(letter::<S>))
        .route("/operator/rulings", post(rule::<S>).get(rulings::<S>))
        .route("/operator/sagas/{saga}", get(saga::<S>))
        .route_layer(axum::middleware::from_fn(super::access::guard))
        .with_state(client)
}

async fn letters<S: Service>(
    State(client): State<Client<S>>,
) -> Result<Json<Vec<LetterView>>, Problem> {
    Ok(Json(client.letters().await?))
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

async fn letter<S: Service>(
    State(client): State<Client<S>>,
    Query(which): Query<Which>,
) -> Result<Json<LetterView>, Problem> {
    let id: LetterId = which.id.parse().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-letter", "The id names no letter")
            .detail(format!("{error}"))
    })?;
    let found = client.letter(&id).await?;
    found.map(Json).ok_or_else(|| unknown(&which.id))
}

#[derive(Serialize)]
struct Ruled {
    number: u64,
}

async fn rule<S: Service>(
    State(client): State<Client<S>>,
    Json(request): Json<RulingRequest>,
) -> Result<Response, Problem> {
    let number = client.rule(request).await?;
    Ok((StatusCode::CREATED, Json(Ruled { number })).into_response())
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn rulings<S: Service>(
    State(client): State<Client<S>>,
    Query(After { after }): Query<After>,
) -> Result<Json<Vec<RulingView>>, Problem> {
    Ok(Json(client.rulings(after).await?))
}

async fn saga<S: Service>(
    State(client): State<Client<S>>,
    Path(saga): Path<SagaId>,
) -> Result<Json<SagaView>, Problem> {
    Ok(Json(client.saga(saga).await?))
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("unknown-letter", "There is no such letter").detail(id)
}

impl From<RulingError> for Problem {
    fn from(error: RulingError) -> Self {
        let text = error.to_string();
        match error {
            RulingError::Client(error) => error.into(),
            RulingError::NotThere(id) => unknown(&id),
            RulingError::Changed => {
                Self::conflict("letter-changed", "The letter has changed").detail(text)
            }
            RulingError::Unfit(_) => {
                Self::conflict("unfit-ruling", "This cannot be done on the letter").detail(text)
            }
            RulingError::Invalid(_) => {
                Self::unprocessable("invalid-ruling", "The ruling does not say what it should")
                    .detail(text)
            }
        }
    }
}
