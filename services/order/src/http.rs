//! Order over HTTP.
//!
//! * `POST /orders`: places an order.
//! * `POST /orders/{id}/cancel`: asks for it to end.
//! * `GET /orders/{id}`: where it stands.
//!
//! The customer chooses an order's id, so that asking again is safe; with an `Idempotency-Key` the first
//! answer comes again as well, byte for byte.

use std::time::Duration;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use quadrille::{
    engine::Client,
    http::{Json, NoInput, Once, Path, Problem, interface},
    id::SagaId,
};
use schemas::{
    AccountId, CancellationReason, Country, CustomerId, OrderCreated, OrderId, OrderLines,
};
use serde::{Deserialize, Serialize};

use crate::{
    CancelOrder, CancelRefused, Cancellation, End, FINISH_WITHIN, Order, Orders, PlaceOrder,
    PlaceRefused, Status,
};

/// The service's HTTP interface, where orders have [`FINISH_WITHIN`] to end.
pub fn router(client: Client<Orders>) -> Router {
    router_with(client, FINISH_WITHIN)
}

/// The service's HTTP interface, where orders have so long to end.
pub fn router_with(client: Client<Orders>, finish_within: Duration) -> Router {
    let placing = move |client, placement| place(client, placement, finish_within);
    let routes = Router::new()
        .route("/orders", post(placing))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/orders/{id}", get(order))
        .with_state(client.clone());
    interface(routes, client)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placement {
    order: OrderId,
    customer: CustomerId,
    account: AccountId,
    lines: OrderLines,
    destination: Country,
}

/// Accepted: the order is on its way; how it ends is to be asked for.
#[derive(Serialize)]
struct Accepted {
    order: OrderId,
    saga: SagaId,
}

async fn place(
    State(client): State<Client<Orders>>,
    Once { key, input: Json(placement) }: Once<Json<Placement>>,
    finish_within: Duration,
) -> Result<impl IntoResponse, Problem> {
    let Placement { order, customer, account, lines, destination } = placement;
    let place =
        PlaceOrder { order: order.clone(), customer, account, lines, destination, finish_within };
    let receipt =
        client.execute_keyed(key, &order, place).await?.map_err(|PlaceRefused::IdTaken| {
            Problem::conflict("id-taken", "There is an order of that id, and it is another one")
        })?;
    let location = [(header::LOCATION, format!("/orders/{order}"))];
    let accepted = Accepted { order, saga: receipt.saga };
    Ok((StatusCode::ACCEPTED, location, Json(accepted)))
}

async fn cancel(
    State(client): State<Client<Orders>>,
    Path(order): Path<OrderId>,
    Once { key, .. }: Once<NoInput>,
) -> Result<impl IntoResponse, Problem> {
    let wish = CancelOrder { reason: CancellationReason::Customer };
    let receipt = client.execute_keyed(key, &order, wish).await?.map_err(not_cancelled)?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { order, saga: receipt.saga })))
}

fn not_cancelled(refusal: CancelRefused) -> Problem {
    match refusal {
        CancelRefused::UnknownOrder => unknown(),
        CancelRefused::Ended(status) => {
            Problem::conflict("already-ended", "The order has ended otherwise")
                .detail(format!("the order is {status}"))
        }
    }
}

fn unknown() -> Problem {
    Problem::not_found("unknown-order", "Nobody has placed this order")
}

#[derive(Serialize)]
struct OrderView {
    status: Status,
    #[serde(flatten)]
    placed: OrderCreated,
    cancellation: Option<Cancellation>,
    end: Option<End>,
}

async fn order(
    State(client): State<Client<Orders>>,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    let order = client.load::<Order>(&id).await?.ok_or_else(unknown)?;
    let (Some(status), Some(placed)) = (order.status(), order.placed().cloned()) else {
        return Err(unknown());
    };
    let (cancellation, end) = (order.cancellation(), order.end());
    Ok(Json(OrderView { status, placed, cancellation, end }))
}
