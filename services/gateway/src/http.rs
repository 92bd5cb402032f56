//! The HTTP interface.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};

use crate::{
    books::{Entry, Unfit},
    entries::{Amount, Balance, Charge, ChargeRequest, Refund, RefundRequest},
    office::{EntryError, Office},
    serve::AnswerIsLost,
    totals::Totals,
    trouble::{Ending, Trouble},
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// The longest key or account id, in bytes.
const NAME_BYTES_MAX: usize = 255;

pub(crate) fn router(office: Office) -> Router {
    // Trouble is made where money moves, and where one asks whether it did.
    let troubled = Router::new()
        .route("/charges", post(charge))
        .route("/charges/{key}", get(charge_done))
        .route("/refunds", post(refund))
        .route("/refunds/{key}", get(refund_done))
        .route("/voids", post(void))
        .layer(middleware::from_fn_with_state(office.clone(), make_trouble));
    Router::new()
        .route("/accounts/{id}", put(set_funds).get(account))
        .route("/totals", get(totals))
        .route("/trouble", get(trouble).put(set_trouble))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .merge(troubled)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(office)
}

/// What is wrong with a request, or with the gateway.
struct Wrong(StatusCode, String);

impl Wrong {
    fn unfit(what: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, what.into())
    }

    fn unknown() -> Self {
        Self(StatusCode::NOT_FOUND, "there is no such thing".to_owned())
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<EntryError> for Wrong {
    fn from(error: EntryError) -> Self {
        let status = match &error {
            EntryError::Unfit(Unfit::KeyReused | Unfit::OtherCurrency) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            EntryError::Unfit(Unfit::Full) => StatusCode::INSUFFICIENT_STORAGE,
            EntryError::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

type Answer<T> = Result<Json<T>, Wrong>;

async fn set_funds(
    State(office): State<Office>,
    Path(account): Path<String>,
    Json(funds): Json<Amount>,
) -> Result<StatusCode, Wrong> {
    checked_name("the account", &account)?;
    checked_amount(&funds)?;
    office.enter(Entry::Account { account, funds }, |_| ()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn account(State(office): State<Office>, Path(account): Path<String>) -> Answer<Balance> {
    office.account(&account).map(Json).ok_or_else(Wrong::unknown)
}

async fn charge(
    State(office): State<Office>,
    headers: HeaderMap,
    Json(request): Json<ChargeRequest>,
) -> Answer<Option<Charge>> {
    let key = key(&headers)?;
    checked_amount(&request.amount)?;
    let entry = Entry::Charge { key: key.clone(), request };
    Ok(Json(office.enter(entry, move |books| books.charge(&key).cloned()).await?))
}

async fn charge_done(State(office): State<Office>, Path(key): Path<String>) -> Answer<Charge> {
    office.charge(&key).map(Json).ok_or_else(Wrong::unknown)
}

async fn refund(
    State(office): State<Office>,
    headers: HeaderMap,
    Json(request): Json<RefundRequest>,
) -> Answer<Option<Refund>> {
    let key = key(&headers)?;
    checked_amount(&request.amount)?;
    let entry = Entry::Refund { key: key.clone(), request };
    Ok(Json(office.enter(entry, move |books| books.refund(&key).cloned()).await?))
}

async fn refund_done(State(office): State<Office>, Path(key): Path<String>) -> Answer<Refund> {
    office.refund(&key).map(Json).ok_or_else(Wrong::unknown)
}

async fn void(State(office): State<Office>, headers: HeaderMap) -> Answer<Value> {
    let key = key(&headers)?;
    let entry = Entry::Void { key: key.clone() };
    let answer = office.enter(entry, move |books| books.void_answer(&key)).await?;
    Ok(Json(json!(answer)))
}

async fn totals(State(office): State<Office>) -> Json<Totals> {
    Json(office.totals())
}

async fn trouble(State(office): State<Office>) -> Json<Trouble> {
    Json(office.mischief().trouble())
}

async fn set_trouble(
    State(office): State<Office>,
    Json(trouble): Json<Trouble>,
) -> Result<StatusCode, Wrong> {
    office.set_trouble(trouble).map_err(Wrong::unfit)?;
    Ok(StatusCode::NO_CONTENT)
}

fn key(headers: &HeaderMap) -> Result<String, Wrong> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok()) else {
        let what = "an Idempotency-Key of printable characters is needed".to_owned();
        return Err(Wrong(StatusCode::BAD_REQUEST, what));
    };
    checked_name("the key", key)?;
    Ok(key.to_owned())
}

fn checked_name(what: &str, name: &str) -> Result<(), Wrong> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Wrong::unfit(format!(
            "{what} needs 1 to {NAME_BYTES_MAX} bytes of plain text"
        )));
    }
    Ok(())
}

fn checked_amount(amount: &Amount) -> Result<(), Wrong> {
    if amount.is_money() {
        return Ok(());
    }
    Err(Wrong::unfit("an amount has up to 2^53 - 1 minor units, and a currency of three capitals"))
}

async fn make_trouble(State(office): State<Office>, request: Request, next: Next) -> Response {
    let key = request.headers().get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    let name = format!("{} {} {}", request.method(), request.uri().path(), key.unwrap_or_default());
    let fate = office.mischief().next(&name);
    let Some(delay) = fate.delay else { return meet(fate.end, request, next).await };
    // A caller who has gone does not stop what is on its way: it lands all the same, late.
    let late = tokio::spawn(async move {
        tokio::time::sleep(delay.before).await;
        let answer = meet(fate.end, request, next).await;
        tokio::time::sleep(delay.after).await;
        answer
    });
    late.await.unwrap_or_else(|_| failed())
}

async fn meet(end: Ending, request: Request, next: Next) -> Response {
    match end {
        Ending::Well => next.run(request).await,
        Ending::FailBefore => failed(),
        Ending::FailAfter => {
            next.run(request).await;
            failed()
        }
        Ending::LoseAnswer => {
            let mut response = next.run(request).await;
            response.extensions_mut().insert(AnswerIsLost);
            response
        }
    }
}

fn failed() -> Response {
    Wrong(StatusCode::INTERNAL_SERVER_ERROR, "it went wrong".to_owned()).into_response()
}
