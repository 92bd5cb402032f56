//! The gateway as its callers see it, byte for byte: requests over a socket.

use std::{net::SocketAddr, path::PathBuf};

use gateway::{Office, Serving};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn open(office: &Office) -> Serving {
    gateway::serve(office.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

/// The status and the body; `None` when the connection was closed without an answer.
async fn send(to: SocketAddr, line: &str, key: Option<&str>, body: &Value) -> Option<(u16, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n{key}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

fn eur(minor: u64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

fn charge(minor: u64) -> Value {
    json!({ "account": "ann", "amount": eur(minor), "reference": "o-1" })
}

#[tokio::test]
async fn charges_refunds_and_questions() {
    let serving = open(&Office::in_memory()).await;
    let to = serving.address();
    let call = async |line: &str, key: Option<&str>, body: Value| {
        send(to, line, key, &body).await.expect("an answer")
    };
    assert_eq!(call("PUT /accounts/ann", None, eur(100)).await.0, 204);
    assert_eq!(call("GET /charges/k", None, Value::Null).await.0, 404);

    let (status, first) = call("POST /charges", Some("k"), charge(60)).await;
    assert_eq!((status, &first["status"]), (200, &json!("approved")));
    assert_eq!(call("POST /charges", Some("k"), charge(60)).await, (200, first.clone()));
    assert_eq!(call("GET /charges/k", None, Value::Null).await, (200, first));
    assert_eq!(call("POST /charges", Some("k"), charge(61)).await.0, 422);
    assert_eq!(call("POST /charges", None, charge(60)).await.0, 400);

    let refund = |of: &str| json!({ "charge": of, "amount": eur(60) });
    let never = call("POST /refunds", Some("r-1"), refund("other")).await.1;
    assert_eq!((&never["status"], &never["reason"]), (&json!("refused"), &json!("never_charged")));
    let done = call("POST /refunds", Some("r-2"), refund("k")).await.1;
    assert_eq!(done["status"], "refunded");
    assert_eq!(call("GET /refunds/r-2", None, Value::Null).await.1, done);

    let account = call("GET /accounts/ann", None, Value::Null).await.1;
    assert_eq!(account, json!({ "funds": eur(100), "charged": 60, "refunded": 60 }));
    let totals = call("GET /totals", None, Value::Null).await.1;
    assert_eq!(totals["money"]["EUR"], json!({ "funds": 100, "charged": 60, "refunded": 60 }));
    assert_eq!((&totals["replayed"], &totals["charges_approved"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_void_leaves_a_tombstone() {
    let serving = open(&Office::in_memory()).await;
    let to = serving.address();
    send(to, "PUT /accounts/ann", None, &eur(100)).await.unwrap();
    let void = send(to, "POST /voids", Some("k"), &Value::Null).await.unwrap();
    assert_eq!(void, (200, json!({ "status": "voided" })));
    let late = send(to, "POST /charges", Some("k"), &charge(60)).await.unwrap();
    assert_eq!((late.0, &late.1["status"]), (200, &json!("voided")));
    let account = send(to, "GET /accounts/ann", None, &Value::Null).await.unwrap().1;
    assert_eq!(account["funds"], eur(100));
}

#[tokio::test]
async fn a_lost_answer_closes_the_connection_and_the_money_has_moved() {
    let office = Office::in_memory();
    let serving = open(&office).await;
    let to = serving.address();
    send(to, "PUT /accounts/ann", None, &eur(100)).await.unwrap();
    let lose = json!({ "lose_answer_percent": 100 });
    assert_eq!(send(to, "PUT /trouble", None, &lose).await.unwrap().0, 204);
    assert_eq!(send(to, "POST /charges", Some("k"), &charge(60)).await, None);
    assert!(office.charge("k").is_some());

    let fail = json!({ "fail_before_percent": 100, "delay_ms": 1, "delay_percent": 100 });
    assert_eq!(send(to, "PUT /trouble", None, &fail).await.unwrap().0, 204);
    assert_eq!(send(to, "POST /charges", Some("l"), &charge(1)).await.unwrap().0, 500);
    assert!(office.charge("l").is_none(), "it fails before it does anything");
    let made = office.totals().trouble;
    assert_eq!((made.answers_lost, made.failed_before, made.delayed), (1, 1, 1));
    let too_much = json!({ "fail_before_percent": 101 });
    assert_eq!(send(to, "PUT /trouble", None, &too_much).await.unwrap().0, 422);
}

#[tokio::test]
async fn a_restart_knows_what_was_done() {
    let path: PathBuf =
        std::env::temp_dir().join(format!("gateway-journal-{}", std::process::id()));
    let before = {
        let office = Office::open(&path).unwrap();
        let serving = open(&office).await;
        let to = serving.address();
        send(to, "PUT /accounts/ann", None, &eur(100)).await.unwrap();
        send(to, "POST /charges", Some("k"), &charge(60)).await.unwrap();
        send(to, "POST /voids", Some("v"), &Value::Null).await.unwrap();
        office.totals()
    };
    // A line that was being written when the process died.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"entry\":\"charge\",\"key\":\"half");
    std::fs::write(&path, bytes).unwrap();

    let office = Office::open(&path).unwrap();
    assert_eq!(office.totals(), before);
    let serving = open(&office).await;
    let again = send(serving.address(), "POST /charges", Some("k"), &charge(60)).await.unwrap();
    assert_eq!(again.1["status"], "approved");
    assert_eq!(office.account("ann").unwrap().charged, 60);
    drop(serving);
    std::fs::remove_file(&path).unwrap();
}
