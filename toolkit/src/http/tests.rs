use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
    routing::{get, put},
};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::engine::ClientError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Funds {
    minor: u64,
}

fn router(reasons: &'static [&'static str]) -> Router {
    let routes = Router::new()
        .route(
            "/funds/{account}",
            put(|Path(_): Path<u32>, Json(f): Json<Funds>| async move { Json(f.minor) }),
        )
        .route("/busy", get(|| async { Problem::from(ClientError::Busy) }));
    let health = move || Health {
        ready: reasons.is_empty(),
        reasons: reasons.iter().map(|r| (*r).to_owned()).collect(),
    };
    let metrics = || std::future::ready("quadrille_ready{service=\"test\"} 0\n".to_owned());
    complete(routes, "test", Probes { health, metrics }, None)
}

struct Answer {
    status: StatusCode,
    allow: Option<String>,
    retry_after: Option<String>,
    content_type: String,
    body: Value,
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let text = |name| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let (allow, retry_after) = (text(header::ALLOW), text(header::RETRY_AFTER));
    let content_type = text(header::CONTENT_TYPE).unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap();
    Answer { status, allow, retry_after, content_type, body }
}

fn put_funds(path: &str, content_type: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(Method::PUT).uri(path);
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    request.body(body.into()).unwrap()
}

fn plain(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// Sends it, and expects a problem document of this kind.
async fn problem(request: Request<Body>, status: u16, kind: &str) -> Answer {
    let answer = send(router(&[]), request).await;
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(answer.body["type"], format!("urn:quadrille:problem:{kind}"));
    assert_eq!(answer.body["status"], status);
    assert!(answer.body["title"].as_str().is_some_and(|t| !t.is_empty()));
    answer
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn good_input_comes_through() {
    let answer = send(router(&[]), put_funds("/funds/7", JSON, r#"{"minor":5}"#)).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, Value::from(5)));
}

#[tokio::test]
async fn garbage_is_a_malformed_body() {
    for body in ["", "{", "\u{0}", "{\"minor\":5}}", "{\"minor\":5} x", "nul"] {
        problem(put_funds("/funds/7", JSON, body), 400, "malformed-body").await;
    }
    problem(put_funds("/funds/7", JSON, vec![0xff, 0xfe]), 400, "malformed-body").await;
}

#[tokio::test]
async fn a_wrong_shape_is_an_invalid_body_that_names_the_field() {
    for body in ["{}", "[]", " [5]", "null", "5"] {
        problem(put_funds("/funds/7", JSON, body), 422, "invalid-body").await;
    }
    for value in ["-1", "1.5", "\"5\"", "null", "18446744073709551616"] {
        let body = format!(r#"{{"minor":{value}}}"#);
        let answer = problem(put_funds("/funds/7", JSON, body), 422, "invalid-body").await;
        assert!(answer.body["detail"].as_str().unwrap().contains("minor"), "{}", answer.body);
    }
    for body in [r#"{"minor":5,"minro":6}"#, r#"{"minor":5,"minor":6}"#] {
        problem(put_funds("/funds/7", JSON, body), 422, "invalid-body").await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    problem(put_funds("/funds/7", None, "{\"minor\":5}"), 415, "not-json").await;
    problem(put_funds("/funds/7", Some("text/plain"), "{\"minor\":5}"), 415, "not-json").await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let padded = |bytes: usize| r#"{"minor":5}"#.to_owned() + &" ".repeat(bytes - 11);
    let at = send(router(&[]), put_funds("/funds/7", JSON, padded(BODY_BYTES_MAX))).await;
    assert_eq!(at.status, StatusCode::OK);
    let above = put_funds("/funds/7", JSON, padded(BODY_BYTES_MAX + 1));
    let answer = problem(above, 413, "too-large").await;
    assert!(answer.body["detail"].as_str().unwrap().contains("65536"));
}

#[tokio::test]
async fn a_path_that_cannot_be_read_is_refused() {
    for path in ["/funds/seven", "/funds/%00", "/funds/%ff", "/funds/-1"] {
        problem(put_funds(path, JSON, r#"{"minor":5}"#), 400, "invalid-path").await;
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    problem(plain(Method::GET, "/nowhere"), 404, "unknown-path").await;
    problem(plain(Method::GET, "/"), 404, "unknown-path").await;
    let answer = problem(plain(Method::DELETE, "/funds/7"), 405, "wrong-method").await;
    assert_eq!(answer.allow.as_deref(), Some("PUT"));
    problem(plain(Method::POST, "/livez"), 405, "wrong-method").await;
}

#[tokio::test]
async fn busy_is_worth_another_try() {
    let answer = problem(plain(Method::GET, "/busy"), 503, "busy").await;
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}

#[test]
fn client_errors_have_their_statuses() {
    let status = |error| Problem::from(error).status().as_u16();
    assert_eq!(status(ClientError::Busy), 503);
    assert_eq!(status(ClientError::ShuttingDown), 503);
    assert_eq!(status(ClientError::Unavailable("halted".into())), 503);
    assert_eq!(status(ClientError::Rejected("a bad id".into())), 422);
}

#[tokio::test]
async fn readiness_lists_its_reasons_and_liveness_asks_nobody() {
    let halted = &["halted: the log knows more", "relay: no leader"];
    let ready = send(router(halted), plain(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["reasons"], serde_json::json!(halted));
    let alive = send(router(halted), plain(Method::GET, "/livez")).await;
    assert_eq!(alive.status, StatusCode::OK);
    assert_eq!(send(router(&[]), plain(Method::GET, "/readyz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_plain_text_of_prometheus_version() {
    let response = router(&[]).oneshot(plain(Method::GET, "/metrics")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    assert_eq!(&body[..], b"quadrille_ready{service=\"test\"} 0\n");
}
