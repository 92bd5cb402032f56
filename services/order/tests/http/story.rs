//! The story as customers and shopkeepers see it.

use serde_json::{Value, json};

use super::support::{Shop, placement};

async fn open(funds: u64, available: u64) -> Shop {
    let shop = Shop::open().await;
    let funds = json!({ "minor": funds, "currency": "EUR" });
    assert_eq!(shop.put("payment", "/accounts/a-1/funds", &funds).await.status, 204);
    let stock = json!({ "available": available });
    assert_eq!(shop.put("inventory", "/stock/tea", &stock).await.status, 204);
    shop
}

fn eur(minor: u64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

#[tokio::test]
async fn an_order_concludes() {
    let shop = open(1_000, 5).await;
    let placed = shop.post("/orders", &placement("o-1", 2, "FR")).await;
    assert_eq!(placed.status, 202, "{placed:?}");
    assert_eq!(placed.location.as_deref(), Some("/orders/o-1"));
    let order = shop.wait("order", "/orders/o-1", "concluded").await;
    assert_eq!(order["total"], eur(300));
    assert_eq!(order["end"], "concluded");

    shop.wait("inventory", "/reservations/o-1", "shipped").await;
    let stock = shop.get("inventory", "/stock/tea").await.body;
    assert_eq!(stock, json!({ "sku": "tea", "available": 3, "reserved": 0, "shipped": 2 }));
    let payment = shop.get("payment", "/payments/o-1").await.body;
    assert_eq!(payment, json!({ "status": "billed", "account": "a-1", "amount": eur(300) }));
    let account = shop.get("payment", "/accounts/a-1").await.body;
    assert_eq!((&account["funds"], &account["captured"]), (&eur(700), &eur(300)));
    let shipment = shop.get("shipping", "/shipments/o-1").await.body;
    assert_eq!(shipment, json!({ "status": "delivered", "cancellation_refused": false }));

    let late = shop.post("/orders/o-1/cancel", &Value::Null).await;
    assert_eq!((late.status, late.problem()), (409, "already-ended"));
    shop.close().await;
}

#[tokio::test]
async fn an_order_fails_and_leaves_nothing_behind() {
    let shop = open(1_000, 5).await;
    shop.post("/orders", &placement("far", 1, "AQ")).await;
    shop.post("/orders", &placement("dear", 5_000, "FR")).await;
    shop.post("/orders", &placement("many", 6, "FR")).await;

    let far = shop.wait("order", "/orders/far", "failed").await;
    assert_eq!(far["end"], json!({ "failed": { "why": "not_deliverable" } }));
    shop.wait("inventory", "/reservations/far", "released").await;
    shop.wait("payment", "/payments/far", "refunded").await;
    let shipment = shop.get("shipping", "/shipments/far").await.body;
    assert_eq!(shipment["why"], json!({ "not_served": { "destination": "AQ" } }));

    let dear = shop.wait("order", "/orders/dear", "failed").await;
    assert_eq!(dear["end"], json!({ "failed": { "why": "payment_declined" } }));
    assert_eq!(shop.get("payment", "/payments/dear").await.body["status"], "declined");

    let many = shop.wait("order", "/orders/many", "failed").await;
    assert_eq!(many["end"], json!({ "failed": { "why": "out_of_stock" } }));
    let short = shop.get("inventory", "/reservations/many").await.body;
    assert_eq!((&short["sku"], &short["missing"]), (&json!("tea"), &json!(1)));
    shop.wait("payment", "/payments/many", "refunded").await;
    assert_eq!(shop.get("payment", "/accounts/a-1").await.body["funds"], eur(1_000));
    shop.close().await;
}

#[tokio::test]
async fn a_cancellation_is_answered_by_one_judge() {
    let shop = open(1_000, 5).await;
    shop.post("/orders", &placement("o-1", 1, "FR")).await;
    let asked = shop.post("/orders/o-1/cancel", &Value::Null).await;
    // Already delivered, when the engines were faster than the customer.
    assert!(matches!((asked.status, asked.problem()), (202, _) | (409, "already-ended")));
    let verdict = shop.get("order", "/orders/o-1").await.body;
    assert_eq!(verdict["customer"], "c-1");
    let shipment = shop.wait_for("shipping", "/shipments/o-1", |answer| answer.status == 200).await;
    let delivered = shipment.body["status"] == "delivered";
    let end = if delivered { "concluded" } else { "cancelled" };
    shop.wait("order", "/orders/o-1", end).await;
    shop.close().await;
}

#[tokio::test]
async fn placing_the_same_order_again_is_safe_and_another_one_is_refused() {
    let shop = open(1_000, 5).await;
    let first = shop.post("/orders", &placement("o-1", 1, "FR")).await;
    let again = shop.post("/orders", &placement("o-1", 1, "FR")).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    let other = shop.post("/orders", &placement("o-1", 2, "FR")).await;
    assert_eq!((other.status, other.problem()), (409, "id-taken"));
    shop.close().await;
}
