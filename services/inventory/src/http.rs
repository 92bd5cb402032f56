//! Inventory over HTTP.
//!
//! * `GET /reservations/{order}`: what is kept back for an order, or has become of it.
//! * `PUT /stock/{sku}` `{"available": 40}`: sets how many are on the shelf.
//! * `GET /stock/{sku}`: a product's counters.
//!
//! Setting takes an `Idempotency-Key`.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use quadrille::{
    engine::Client,
    http::{Json, Once, Path, Problem, interface},
};
use schemas::{OrderId, OrderLines, OrderPrepared, ProductOutOfStock, Sku, StockReleased};
use serde::{Deserialize, Serialize};

use crate::{Inventory, ReservationShipped, STOCK_MAX, SetStock, Stock, TooMany};

/// The service's HTTP interface.
pub fn router(client: Client<Inventory>) -> Router {
    let routes = Router::new()
        .route("/reservations/{order}", get(reservation))
        .route("/stock/{sku}", get(stock).put(set_stock))
        .with_state(client.clone());
    interface(routes, client)
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Reservation {
    Reserved { lines: OrderLines },
    Shipped { lines: OrderLines },
    Released { lines: OrderLines },
    OutOfStock { sku: Sku, missing: u64 },
}

async fn reservation(
    State(client): State<Client<Inventory>>,
    Path(order): Path<OrderId>,
) -> Result<Json<Reservation>, Problem> {
    let stated = client.participation(order.as_str()).await?;
    if let Some(StockReleased { lines, .. }) = stated.last()? {
        return Ok(Json(Reservation::Released { lines }));
    }
    if let Some(OrderPrepared { lines, .. }) = stated.last()? {
        return Ok(Json(match stated.last::<ReservationShipped>()? {
            Some(_) => Reservation::Shipped { lines },
            None => Reservation::Reserved { lines },
        }));
    }
    if let Some(ProductOutOfStock { sku, missing, .. }) = stated.last()? {
        return Ok(Json(Reservation::OutOfStock { sku, missing }));
    }
    Err(Problem::not_found("unknown-reservation", "Nothing was reserved for this order"))
}

#[derive(Serialize)]
struct StockView {
    sku: Sku,
    #[serde(flatten)]
    stock: Stock,
}

async fn stock(
    State(client): State<Client<Inventory>>,
    Path(sku): Path<Sku>,
) -> Result<Json<StockView>, Problem> {
    match client.load::<Stock>(&sku).await? {
        Some(stock) => Ok(Json(StockView { sku, stock })),
        None => Err(Problem::not_found("unknown-product", "This product was never in stock")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnTheShelf {
    available: u64,
}

async fn set_stock(
    State(client): State<Client<Inventory>>,
    Path(sku): Path<Sku>,
    Once { key, input: Json(OnTheShelf { available }) }: Once<Json<OnTheShelf>>,
) -> Result<StatusCode, Problem> {
    client.execute_keyed(key, &sku, SetStock { available }).await?.map_err(|TooMany| {
        Problem::unprocessable("too-many", "There would be more than can be counted")
            .detail(format!("available, reserved and shipped are at most {STOCK_MAX} together"))
    })?;
    Ok(StatusCode::NO_CONTENT)
}
