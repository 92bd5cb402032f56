//! Payment over HTTP.
//!
//! * `GET /payments/{order}`: how an order stands with its account.
//! * `PUT /accounts/{id}/funds` `{"minor": 5000, "currency": "EUR"}`: sets what an account has.
//! * `GET /accounts/{id}`: its sums.
//!
//! With a payment gateway, the accounts are there, and these two are refused with 409.
//! Setting takes an `Idempotency-Key`.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, put},
};
use quadrille::{
    engine::Client,
    http::{Json, Once, Path, Problem, interface},
};
use schemas::{
    AccountId, BilledOrder, Currency, DeclineReason, Money, OrderId, PaymentDeclined,
    PaymentRefunded,
};
use serde::{Deserialize, Serialize};

use crate::{Account, Balance, Charging, FundsRefused, Payment, SetFunds};

/// The HTTP interface of a service that keeps the accounts itself.
pub fn router(client: Client<Payment>) -> Router {
    let routes = Router::new()
        .route("/accounts/{id}/funds", put(set_funds))
        .route("/accounts/{id}", get(account));
    complete(routes, client)
}

/// The HTTP interface that fits who has the accounts.
pub fn router_for(payment: &Payment) -> fn(Client<Payment>) -> Router {
    match payment.charging {
        Charging::Local => router,
        Charging::Gateway(_) => |client| {
            let routes = Router::new()
                .route("/accounts/{id}/funds", put(elsewhere))
                .route("/accounts/{id}", get(elsewhere));
            complete(routes, client)
        },
    }
}

fn complete(routes: Router<Client<Payment>>, client: Client<Payment>) -> Router {
    let routes = routes.route("/payments/{order}", get(payment)).with_state(client.clone());
    interface(routes, client)
}

async fn elsewhere() -> Problem {
    Problem::conflict("accounts-elsewhere", "The accounts are with the payment gateway")
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Standing {
    Billed { account: AccountId, amount: Money },
    Refunded { account: AccountId, amount: Money },
    Declined { account: AccountId, why: DeclineReason },
}

async fn payment(
    State(client): State<Client<Payment>>,
    Path(order): Path<OrderId>,
) -> Result<Json<Standing>, Problem> {
    let stated = client.participation(order.as_str()).await?;
    if let Some(PaymentRefunded { account, amount, .. }) = stated.last()? {
        return Ok(Json(Standing::Refunded { account, amount }));
    }
    if let Some(BilledOrder { account, amount, .. }) = stated.last()? {
        return Ok(Json(Standing::Billed { account, amount }));
    }
    if let Some(PaymentDeclined { account, why, .. }) = stated.last()? {
        return Ok(Json(Standing::Declined { account, why }));
    }
    Err(Problem::not_found("unknown-payment", "Nothing was charged or declined for this order"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Funds {
    minor: u64,
    currency: Currency,
}

async fn set_funds(
    State(client): State<Client<Payment>>,
    Path(id): Path<AccountId>,
    Once { key, input: Json(funds) }: Once<Json<Funds>>,
) -> Result<StatusCode, Problem> {
    let funds = Money::new(funds.minor, funds.currency).map_err(|error| {
        Problem::unprocessable("invalid-body", "The amount is no money").detail(error.to_string())
    })?;
    client.execute_keyed(key, &id, SetFunds { funds }).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn refused(refusal: FundsRefused) -> Problem {
    match refusal {
        FundsRefused::OtherCurrency => {
            Problem::conflict("other-currency", "The account is in another currency")
        }
        FundsRefused::TooMuch => Problem::unprocessable(
            "too-much",
            "A refund of what is captured would not fit any more",
        ),
    }
}

#[derive(Serialize)]
struct AccountView {
    account: AccountId,
    #[serde(flatten)]
    balance: Balance,
}

async fn account(
    State(client): State<Client<Payment>>,
    Path(id): Path<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    match client.load::<Account>(&id).await?.and_then(|account| account.balance()) {
        Some(balance) => Ok(Json(AccountView { account: id, balance })),
        None => Err(Problem::not_found("unknown-account", "Nobody has opened this account")),
    }
}
