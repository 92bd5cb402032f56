//! A merchant on loopback, who is told how each order ended: over real HTTP, by a server that fails now and then.

use std::{
    collections::HashSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use notification::Notifications;
use quadrille::{
    effect::Schedule,
    webhook::{Endpoint, Secret, Webhook},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Nobody else hears what is said on loopback.
const SECRET: &str = "whsec_dGhlIGRlbW8gaGFzIG5vIHNlY3JldHMgZnJvbSB5b3U=";
/// Of so many notifications, one is answered 503.
const FAILS_ONE_IN: u64 = 10;
/// The pauses between tries, in milliseconds: the demo's days are short.
const PAUSES_MS: [u64; 8] = [10, 20, 50, 100, 200, 500, 1_000, 2_000];

/// A merchant, while he is there.
pub(crate) struct Merchant {
    url: String,
    secret: Secret,
    heard: Arc<Mutex<Heard>>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What he has heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Whose signature was right.
    tries: u64,
    /// Those that he took, by `webhook-id`.
    taken: HashSet<String>,
    /// Whose signature was wrong, or not there.
    unsigned: u64,
}

#[derive(Clone)]
struct Server {
    secret: Secret,
    heard: Arc<Mutex<Heard>>,
}

impl Merchant {
    /// Opens his server.
    pub(crate) async fn open() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("the merchant cannot listen")?;
        let url = format!("http://{}/orders", listener.local_addr()?);
        let (secret, heard) = (Secret::parse(SECRET)?, Arc::<Mutex<Heard>>::default());
        let server = Server { secret: secret.clone(), heard: heard.clone() };
        let router = Router::new().fallback(hear).with_state(server);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, secret, heard, serving })
    }

    /// A notification service that tells him.
    pub(crate) fn notifications(&self) -> Result<Notifications> {
        let pauses = PAUSES_MS.map(Duration::from_millis).to_vec();
        let endpoint = Endpoint::new(&self.url, Some(self.secret.clone()))?;
        let merchant = notification::Merchant::at(endpoint).schedule(Schedule::Steps(pauses));
        Ok(Notifications { merchant })
    }

    /// What he says at the end.
    pub(crate) fn says(&self) -> String {
        let Heard { tries, taken, unsigned } = &*lock(&self.heard);
        format!(
            "The merchant was told how {} orders ended, in {tries} signed requests of which he failed one in {FAILS_ONE_IN}; {unsigned} were not signed",
            taken.len()
        )
    }
}

impl Drop for Merchant {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn hear(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, signature) = (text("webhook-id").to_owned(), text("webhook-signature"));
    let timestamp = text("webhook-timestamp").parse().unwrap_or_default();
    let webhook = Webhook { id, timestamp, body };
    let mut heard = lock(&server.heard);
    if signature != server.secret.signature(&webhook) {
        heard.unsigned += 1;
        return StatusCode::UNAUTHORIZED;
    }
    heard.tries += 1;
    if heard.tries.is_multiple_of(FAILS_ONE_IN) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    heard.taken.insert(webhook.id);
    StatusCode::NO_CONTENT
}

/// Whoever panicked with it left whole numbers behind.
fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
