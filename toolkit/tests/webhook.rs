//! Webhooks over a real connection: what is sent, and what is known after each answer.
#![allow(missing_docs, unreachable_pub)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use quadrille::webhook::{Endpoint, Secret, Webhook};
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Answers with these, one after the other, and then with 204.
#[derive(Clone, Default)]
struct Receiver {
    got: Got,
    answers: Arc<Mutex<Vec<u16>>>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.got.lock().unwrap().push((headers, body));
    let mut answers = receiver.answers.lock().unwrap();
    let answer = if answers.is_empty() { 204 } else { answers.remove(0) };
    StatusCode::from_u16(answer).unwrap()
}

async fn listen(receiver: &Receiver) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(receive).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn webhook() -> Webhook {
    Webhook { id: "msg_1".to_owned(), timestamp: 1_614_265_330, body: r#"{"a": 1}"#.into() }
}

#[tokio::test]
async fn a_signed_message_arrives_as_standard_webhooks_say() {
    let receiver = Receiver::default();
    let address = listen(&receiver).await;
    let secret = Secret::parse(SECRET).unwrap();
    let endpoint = Endpoint::new(&format!("http://{address}/hooks/1?a=b"), Some(secret.clone()));
    let endpoint = endpoint.unwrap();
    endpoint.post(&webhook()).await.unwrap();
    let (headers, body) = receiver.got.lock().unwrap().remove(0);
    assert_eq!(headers["webhook-id"], "msg_1");
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    assert_eq!(headers["webhook-signature"], secret.signature(&webhook()));
    assert_eq!(
        (&headers["content-type"], &*body),
        (&"application/json".parse().unwrap(), &br#"{"a": 1}"#[..])
    );
    let unsigned = Endpoint::new(&format!("http://{address}"), None).unwrap();
    unsigned.post(&webhook()).await.unwrap();
    assert!(!receiver.got.lock().unwrap()[0].0.contains_key("webhook-signature"));
}

/// The error tells what is known: with it the engine asks, tries again, or leaves it to a person.
#[tokio::test]
async fn what_is_known_after_each_answer() {
    let receiver = Receiver::default();
    *receiver.answers.lock().unwrap() = vec![500, 302, 410, 200];
    let address = listen(&receiver).await;
    let endpoint = Endpoint::new(&format!("http://{address}"), None).unwrap();
    for expected in [
        "the outcome is not known: the receiver said 500",
        "the outcome is not known: the receiver said 302",
        "it cannot succeed: the receiver said 410",
    ] {
        let error = endpoint.post(&webhook()).await.unwrap_err().chain();
        assert!(error.starts_with(expected), "{error}");
    }
    endpoint.post(&webhook()).await.unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = Endpoint::new(&format!("http://{nobody}"), None).unwrap();
    let error = endpoint.post(&webhook()).await.unwrap_err().chain();
    assert!(error.starts_with("nothing was sent"), "{error}");
}

mod alerts {
    use super::*;
    use quadrille::{
        effect::{EffectPolicy, Schedule},
        engine::{Config, Engine},
        log::{EventLog as _, NewRecord, TopicSpec, memory::MemoryLog},
        prelude::*,
        runtime::Timestamp,
        store::memory::MemoryStore,
        webhook::AlertWebhook,
    };
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
    #[event(type = "SOLD", key = sale, source = "shop")]
    pub(crate) struct Sold {
        sale: String,
    }

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
    #[event(type = "NOTED", key = sale, source = "till")]
    pub(crate) struct Noted {
        sale: String,
    }

    #[derive(Debug)]
    pub(crate) struct Till;

    impl Service for Till {
        const NAME: &'static str = "till";
        type Handles = (Sold,);
        type Commands = ();
        type Steps = (Retriable<Noted>,);
    }

    #[handler]
    impl EventHandler<Sold> for Till {
        type Emits = (Noted,);
        async fn handle(
            &self,
            sold: &Incoming<Sold>,
            turn: &mut Turn<'_, Self::Emits>,
        ) -> Result<(), HandlerError> {
            turn.record(Noted { sale: sold.sale.clone() });
            Ok(())
        }
    }

    /// A record that cannot be read dies; the receiver fails three times, then hears of it, under one id.
    #[tokio::test]
    async fn p12_a_dead_letter_is_told_until_it_is_heard() {
        let receiver = Receiver::default();
        *receiver.answers.lock().unwrap() = vec![500, 503, 429];
        let address = listen(&receiver).await;
        let endpoint =
            Endpoint::new(&format!("http://{address}"), Some(Secret::parse(SECRET).unwrap()));
        let policy =
            EffectPolicy::default().schedule(Schedule::Steps(vec![Duration::from_millis(1); 5]));
        let mut config = Config::new("t");
        config.lanes = 1;
        config.limits.agenda_poll_every = Duration::from_millis(2);
        let log = MemoryLog::default();
        let name: Arc<str> = "t.shop.events".into();
        log.ensure_topic(&TopicSpec { name: name.clone(), lanes: 1, record_bytes_max: 1 << 20 })
            .await
            .unwrap();
        let store = Arc::new(MemoryStore::default());
        let running = Engine::new(Till, store, Arc::new(log.clone()), config)
            .performer(AlertWebhook::new(endpoint.unwrap()).policy(policy))
            .start()
            .await
            .unwrap();
        let client = running.client();
        let record = NewRecord {
            lane: quadrille::id::Lane(0),
            key: Bytes::from("k"),
            value: Bytes::from("?"),
            headers: quadrille::log::Headers::default(),
            time: Timestamp(1),
        };
        log.produce_raw(&name, record).unwrap();
        let since = std::time::Instant::now();
        while receiver.got.lock().unwrap().len() < 4 {
            assert!(since.elapsed() < Duration::from_secs(20), "it was not told");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let got = receiver.got.lock().unwrap().clone();
        let letter = client.letters().await.unwrap().remove(0);
        for (headers, body) in &got {
            assert_eq!(headers["webhook-id"], got[0].0["webhook-id"]);
            assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            assert_eq!(body["type"], "quadrille.dead_letter");
            assert_eq!(body["data"]["letter"], letter.letter);
            assert_eq!(body["data"]["service"], "till");
        }
        drop(running);
    }
}
