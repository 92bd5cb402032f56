//! Whatever comes in, the answer is a clear 4xx as a problem document.

use axum::http::Method;
use quadrille::http::BODY_BYTES_MAX;
use serde_json::{Value, json};

use super::support::{Answer, Shop, placement, send};

const JSON: Option<&str> = Some("application/json");

fn expect(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.status, answer.problem()), (status, kind), "{answer:?}");
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(answer.body["status"], status);
}

fn detail(answer: &Answer) -> &str {
    answer.body["detail"].as_str().unwrap_or_default()
}

/// A good placement with one field, given by its JSON pointer, set to something else.
fn with(pointer: &str, value: Value) -> Value {
    let mut placement = placement("o-1", 1, "FR");
    *placement.pointer_mut(pointer).unwrap() = value;
    placement
}

#[tokio::test]
async fn an_order_that_is_none_is_refused_with_the_field_that_is_wrong() {
    let shop = Shop::open().await;
    let line = placement("o-1", 1, "FR")["lines"][0].clone();
    let mut dollars = line.clone();
    dollars["price"]["currency"] = "USD".into();
    let wrong = [
        ("/order", json!("a\u{0}b"), r"'\0' cannot be in an id"),
        ("/order", json!(""), "must not be empty"),
        ("/order", json!("x".repeat(65)), "at most 64 characters"),
        ("/order", json!("a/b"), "'/' cannot be in an id"),
        ("/order", json!(7), "order"),
        ("/customer", json!("\u{202e}"), "customer"),
        ("/account", Value::Null, "account"),
        ("/destination", json!("France"), "2 capital letters"),
        ("/lines", json!([]), "at least one line"),
        ("/lines", json!(vec![line.clone(); 33]), "at most 32 lines"),
        ("/lines", json!([line, dollars]), "currencies differ"),
        ("/lines/0/sku", json!("tea\n"), "cannot be in an id"),
        ("/lines/0/quantity", json!(0), "quantity"),
        ("/lines/0/quantity", json!(-1), "quantity"),
        ("/lines/0/quantity", json!(1.5), "quantity"),
        ("/lines/0/price", json!(1.5), "price"),
        ("/lines/0/price/minor", json!(1.5), "minor"),
        ("/lines/0/price/minor", json!(1_u64 << 53), "more than the 9007199254740991"),
        ("/lines/0/price/currency", json!("eur"), "3 capital letters"),
    ];
    for (pointer, value, says) in wrong {
        let answer = shop.post("/orders", &with(pointer, value)).await;
        expect(&answer, 422, "invalid-body");
        assert!(detail(&answer).contains(says), "{pointer}: {}", detail(&answer));
    }
    let mut extra = placement("o-1", 1, "FR");
    extra["coupon"] = "free".into();
    expect(&shop.post("/orders", &extra).await, 422, "invalid-body");
    assert_eq!(shop.get("order", "/orders/o-1").await.status, 404, "none was placed");
    shop.close().await;
}

#[tokio::test]
async fn garbage_is_refused_by_every_service_that_takes_a_body() {
    let shop = Shop::open().await;
    let takers = [
        ("order", Method::POST, "/orders"),
        ("payment", Method::PUT, "/accounts/a-1/funds"),
        ("inventory", Method::PUT, "/stock/tea"),
    ];
    for (service, method, path) in takers {
        let send = async |content_type, body: Vec<u8>| {
            send(shop.router(service), method.clone(), path, content_type, body).await
        };
        for garbage in [&b""[..], b"{", b"\0", b"\xff\xfe", b"{}{}", b"<order/>"] {
            let answer = send(JSON, garbage.to_vec()).await;
            assert!(matches!(answer.status, 400 | 422), "{service} {garbage:?}: {answer:?}");
            assert!(answer.problem().ends_with("-body"));
        }
        expect(&send(JSON, b"{}".to_vec()).await, 422, "invalid-body");
        expect(&send(JSON, b"[1]".to_vec()).await, 422, "invalid-body");
        expect(&send(None, b"{}".to_vec()).await, 415, "not-json");
        expect(&send(Some("text/xml"), b"{}".to_vec()).await, 415, "not-json");
        expect(&send(JSON, vec![b' '; BODY_BYTES_MAX + 1]).await, 413, "too-large");
    }
    shop.close().await;
}

#[tokio::test]
async fn amounts_and_counts_out_of_range_are_refused() {
    let shop = Shop::open().await;
    for minor in [json!(-1), json!(0.5), json!("5"), json!(u64::MAX), json!(1_u64 << 53)] {
        let body = json!({ "minor": minor, "currency": "EUR" });
        expect(&shop.put("payment", "/accounts/a-1/funds", &body).await, 422, "invalid-body");
    }
    for available in [json!(-1), json!(0.5), Value::Null] {
        let body = json!({ "available": available });
        expect(&shop.put("inventory", "/stock/tea", &body).await, 422, "invalid-body");
    }
    let body = json!({ "available": u64::MAX });
    expect(&shop.put("inventory", "/stock/tea", &body).await, 422, "too-many");
    let euros = json!({ "minor": 5, "currency": "EUR" });
    assert_eq!(shop.put("payment", "/accounts/a-1/funds", &euros).await.status, 204);
    let dollars = json!({ "minor": 5, "currency": "USD" });
    expect(&shop.put("payment", "/accounts/a-1/funds", &dollars).await, 409, "other-currency");
    shop.close().await;
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_refused() {
    let shop = Shop::open().await;
    let resources = [
        ("order", "/orders/", "unknown-order"),
        ("payment", "/payments/", "unknown-payment"),
        ("payment", "/accounts/", "unknown-account"),
        ("inventory", "/reservations/", "unknown-reservation"),
        ("inventory", "/stock/", "unknown-product"),
        ("shipping", "/shipments/", "unknown-shipment"),
    ];
    for (service, path, unknown) in resources {
        expect(&shop.get(service, &format!("{path}nobody")).await, 404, unknown);
        for id in ["%00", "%ff", "a%2Fb", "%20", &"x".repeat(65)] {
            expect(&shop.get(service, &format!("{path}{id}")).await, 400, "invalid-path");
        }
        let router = shop.router(service);
        let path = format!("{path}nobody");
        expect(&send(router, Method::DELETE, &path, None, "").await, 405, "wrong-method");
        expect(&shop.get(service, "/nowhere").await, 404, "unknown-path");
    }
    expect(&shop.get("order", "/orders").await, 405, "wrong-method");
    expect(&shop.post("/orders/nobody/cancel", &Value::Null).await, 404, "unknown-order");
    shop.close().await;
}

#[tokio::test]
async fn every_service_tells_its_health() {
    let shop = Shop::open().await;
    for service in ["order", "payment", "inventory", "shipping"] {
        assert_eq!(shop.get(service, "/livez").await.status, 200);
        assert_eq!(shop.get(service, "/readyz").await.status, 200);
    }
    shop.close().await;
}
