//! `quadrille letters` and `quadrille saga` against running services.
#![allow(missing_docs)]

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::Extension;
use quadrille::{
    engine::{Client, Config, Engine, Running},
    http::{OperatorAccess, interface},
    id::{EventId, Lane, SagaId, StreamId},
    log::{
        EventLog as _, TopicSpec,
        memory::MemoryLog,
        record::{ServiceIdentity, encode},
    },
    prelude::*,
    runtime::{Runtime, Timestamp},
    store::{Published, RecordedEvent, memory::MemoryStore},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SOLD", key = sale, source = "shop")]
pub struct Sold {
    sale: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "BOOKED", key = sale, source = "till")]
pub struct Booked {
    sale: String,
}

/// Books sales while its drawer opens.
#[derive(Debug)]
pub struct Till {
    stuck: Arc<AtomicBool>,
}

impl Service for Till {
    const NAME: &'static str = "till";
    type Handles = (Sold,);
    type Commands = ();
    type Steps = (Retriable<Booked>,);
}

#[handler]
impl EventHandler<Sold> for Till {
    type Emits = (Booked,);
    async fn handle(
        &self,
        sold: &Incoming<Sold>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        if self.stuck.load(Ordering::Relaxed) {
            return Err(HandlerError::terminal("the drawer is stuck"));
        }
        turn.record(Booked { sale: sold.sale.clone() });
        Ok(())
    }
}

struct Shop {
    log: MemoryLog,
    stuck: Arc<AtomicBool>,
    _running: Running<Till>,
    client: Client<Till>,
    address: String,
    saga: SagaId,
}

async fn shop(access: OperatorAccess) -> Shop {
    let log = MemoryLog::default();
    let name: Arc<str> = "t.shop.events".into();
    log.ensure_topic(&TopicSpec { name, lanes: 1, record_bytes_max: 1 << 20 }).await.unwrap();
    let mut config = Config::new("t");
    config.lanes = 1;
    config.limits.rulings_poll_every = Duration::from_millis(2);
    let stuck = Arc::new(AtomicBool::new(true));
    let till = Till { stuck: stuck.clone() };
    let store = Arc::new(MemoryStore::default());
    let running = Engine::new(till, store, Arc::new(log.clone()), config).start().await.unwrap();
    let client = running.client();
    let router = interface(axum::Router::new(), client.clone()).layer(Extension(access));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("till=http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let saga = Runtime::tokio().new_saga_id();
    let shop = Shop { log, stuck, _running: running, client, address, saga };
    shop.sell(1);
    shop.sell(2);
    until("both to be held", || async { shop.client.saga(saga).await.unwrap().open.len() == 2 })
        .await;
    shop
}

impl Shop {
    fn sell(&self, seq: u64) {
        let event = RecordedEvent {
            id: EventId(uuid::Uuid::from_u128(u128::from(seq))),
            stream: StreamId::from_stored("theirs/1"),
            version: seq,
            event_type: "SOLD".into(),
            payload: br#"{"sale": "s-1"}"#[..].into(),
            saga: self.saga,
            causation: "a test".into(),
            time: Timestamp(1),
            trace: None,
            published: Some(Published { lane: Lane(0), lane_seq: seq, key: "s-1".into() }),
        };
        let record = encode(&ServiceIdentity::new("shop"), &event).unwrap();
        self.log.produce_raw(&"t.shop.events".into(), record).unwrap();
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Exit code, standard output, standard error.
async fn quadrille(services: &[&str], args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_quadrille"))
        .args(args)
        .env("QUADRILLE_SERVICES", services.join(","))
        .env("USER", "ada")
        .env("HOSTNAME", "desk")
        .env_remove("QUADRILLE_OPERATOR_TOKEN")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const NOBODY: &str = "gone=http://127.0.0.1:1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_listed_shown_replayed_and_seen_in_the_timeline() {
    let shop = shop(OperatorAccess::local()).await;
    let services = [shop.address.as_str(), NOBODY];
    let (code, out, err) = quadrille(&services, &["letters", "list"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(err.starts_with("warning: gone does not answer: "), "{err}");
    let name = out.lines().next().unwrap().to_owned();
    assert_eq!(name, format!("message/t.shop.events/0/{}", uuid::Uuid::from_u128(1)));
    assert!(
        out.contains("till message SOLD  key s-1  dead since ")
            && out.contains("the drawer is stuck"),
        "{out}"
    );

    let (_, out, _) = quadrille(&services, &["letters", "show", &name, "--json"]).await;
    let letter: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&letter["payload"], &letter["attempts"]), (&json!({"sale": "s-1"}), &json!(1)));

    let (code, _, err) = quadrille(&services, &["letters", "replay", &name]).await;
    assert_eq!(code, 2);
    assert!(err.contains("add --note"), "{err}");

    shop.stuck.store(false, Ordering::Relaxed);
    let note = "the drawer was oiled";
    let (code, out, err) =
        quadrille(&services, &["letters", "replay", &name, "--note", note]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "till: replay of message SOLD (key s-1) by ada@desk, ruling 1\n");
    until("the replay", || async { shop.client.saga(shop.saga).await.unwrap().open.is_empty() })
        .await;
    let (_, out, _) = quadrille(&services, &["letters", "list"]).await;
    assert_eq!(out, "no dead letters\n");

    let saga = shop.saga.to_string();
    let (code, out, err) = quadrille(&services, &["saga", &saga]).await;
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], format!("saga {saga}"));
    assert!(out.contains("BOOKED  participation/s-1"), "{out}");
    assert!(out.contains("§ replay of SOLD by ada@desk: the drawer was oiled"), "{out}");
    let (_, out, _) = quadrille(&services, &["saga", &saga, "--json"]).await;
    let sagas: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(sagas[0]["rulings"][0]["note"], note);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_with_its_exit_code() {
    let shop = shop(OperatorAccess::token("sesame-sesame-sesame")).await;
    let services = [shop.address.as_str()];
    let (code, _, err) = quadrille(&services, &["letters", "list"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("Authorization: Bearer"), "{err}");
    let token = ["--token", "sesame-sesame-sesame"];
    let with = |args: &[&'static str]| [args, &token].concat();
    assert_eq!(quadrille(&services, &with(&["letters", "list"])).await.0, 0);
    let unknown = with(&["letters", "show", "message/t/0/none"]);
    let (code, _, err) = quadrille(&services, &unknown).await;
    assert_eq!(
        (code, err.as_str()),
        (1, "no service that answers has a letter message/t/0/none\n")
    );
    assert_eq!(quadrille(&services, &with(&["letters", "show", "nonsense"])).await.0, 2);
    let nobody = "0190a5b0-0000-7000-8000-000000000000";
    assert_eq!(quadrille(&services, &with(&["saga", nobody])).await.0, 1);
    assert_eq!(quadrille(&[NOBODY], &["letters", "list"]).await.0, 1);
    let (code, _, err) = quadrille(&[], &["letters", "list"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("QUADRILLE_SERVICES"), "{err}");
    let letter = shop.client.letters().await.unwrap().remove(0).letter;
    let args =
        [["letters", "answer", &letter, "--note", "n"].as_slice(), &["--outcome", "{}"], &token]
            .concat();
    let (code, _, err) = quadrille(&services, &args).await;
    assert_eq!(code, 1);
    assert!(err.contains("only an effect"), "{err}");
}
