//! Shipping over HTTP.
//!
//! * `GET /shipments/{order}`: what has become of an order's shipment.

use axum::{Router, extract::State, routing::get};
use quadrille::{
    engine::Client,
    http::{Json, Path, Problem, interface},
};
use schemas::{
    CancellationRefused, OrderDelivered, OrderId, ShipmentCancelled, ShipmentFailed,
    ShipmentFailureReason,
};
use serde::Serialize;

use crate::Shipping;

/// The service's HTTP interface.
pub fn router(client: Client<Shipping>) -> Router {
    let routes =
        Router::new().route("/shipments/{order}", get(shipment)).with_state(client.clone());
    interface(routes, client)
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Shipment {
    Delivered { cancellation_refused: bool },
    Failed { why: ShipmentFailureReason },
    Cancelled,
}

async fn shipment(
    State(client): State<Client<Shipping>>,
    Path(order): Path<OrderId>,
) -> Result<Json<Shipment>, Problem> {
    let stated = client.participation(order.as_str()).await?;
    if stated.last::<OrderDelivered>()?.is_some() {
        let cancellation_refused = stated.last::<CancellationRefused>()?.is_some();
        return Ok(Json(Shipment::Delivered { cancellation_refused }));
    }
    if let Some(ShipmentFailed { why, .. }) = stated.last()? {
        return Ok(Json(Shipment::Failed { why }));
    }
    if stated.last::<ShipmentCancelled>()?.is_some() {
        return Ok(Json(Shipment::Cancelled));
    }
    Err(Problem::not_found("unknown-shipment", "Nothing was shipped or cancelled for this order"))
}
