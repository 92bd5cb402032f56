//! A merchant's server.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use quadrille::webhook::{Endpoint, Secret, Webhook};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What arrived.
#[derive(Clone, Debug)]
pub struct Got {
    pub path: String,
    pub id: String,
    /// Seconds since 1970.
    pub timestamp: i64,
    signature: String,
    bytes: Bytes,
}

impl Got {
    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// As a merchant would check it.
    pub fn is_signed(&self) -> bool {
        let (id, timestamp, body) = (self.id.clone(), self.timestamp, self.bytes.clone());
        secret().signature(&Webhook { id, timestamp, body }) == self.signature
    }
}

/// Answers with these, one after the other, and then always with the last.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    /// Whether answers are held back.
    holding: Arc<watch::Sender<bool>>,
}

impl Receiver {
    pub async fn answering(answers: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            holding: Arc::new(watch::Sender::new(false)),
        };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn answer(&self, answers: impl IntoIterator<Item = u16>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
    }

    /// From now on requests arrive, and get no answer while this is so.
    pub fn hold(&self, holding: bool) {
        self.holding.send_replace(holding);
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(&format!("http://{}/hooks", self.address), Some(secret())).unwrap()
    }
}

fn secret() -> Secret {
    Secret::parse(SECRET).unwrap()
}

async fn receive(
    State(receiver): State<Receiver>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let timestamp = text("webhook-timestamp").parse().unwrap();
    let (id, signature) = (text("webhook-id"), text("webhook-signature"));
    let path = uri.path().to_owned();
    receiver.got.lock().unwrap().push(Got { path, id, timestamp, signature, bytes });
    let _ = receiver.holding.subscribe().wait_for(|holding| !holding).await;
    let mut answers = receiver.answers.lock().unwrap();
    let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() };
    let status = StatusCode::from_u16(answer.unwrap_or(204)).unwrap();
    (status, [(header::LOCATION, "/elsewhere")], "so says the merchant").into_response()
}
