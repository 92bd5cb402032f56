//! Two clients with one key at the same moment, on two instances that share a store. Any store.

use std::{sync::Arc, time::Duration};

use quadrille::{
    engine::{ClientError, CommandKey, Config, Engine, Running},
    log::memory::MemoryLog,
    prelude::*,
    store::EventStore,
};
use serde::{Deserialize, Serialize};

/// The number of rounds.
const ROUNDS: u64 = 200;

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "desk.placed", private)]
struct Placed {
    text: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Desk {
    texts: Vec<String>,
}

impl Aggregate for Desk {
    const NAME: &'static str = "desk";
    type Id = str;
    type Events = (Placed,);
}

impl Apply<Placed> for Desk {
    fn apply(&mut self, event: &Placed) {
        self.texts.push(event.text.clone());
    }
}

/// Places whatever it is asked to, however often: only the key makes it once.
#[derive(Clone)]
struct Place(String);

impl Command for Place {
    type Aggregate = Desk;
    type Emits = (Placed,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Placed { text: self.0 });
        Ok(())
    }
}

struct Desks;

impl Service for Desks {
    const NAME: &'static str = "desks";
    type Commands = (Place,);
    type Handles = ();
    type Steps = ();
}

async fn start(store: Arc<dyn EventStore>, log: &MemoryLog) -> Running<Desks> {
    Engine::new(Desks, store, Arc::new(log.clone()), Config::new("keys")).start().await.unwrap()
}

fn key(n: u64, request: &str) -> Option<CommandKey> {
    Some(CommandKey::new("POST /desks", &n.to_string(), &[request.as_bytes()]))
}

/// Each round: two clients, one key, the same moment: one event, and both have the same answer.
pub(crate) async fn two_clients_with_one_key_place_one_order(stores: [Arc<dyn EventStore>; 2]) {
    let log = MemoryLog::default();
    let [one, two] = stores;
    let running = [start(one, &log).await, start(two, &log).await];
    let clients = [running[0].client(), running[1].client()];
    for n in 0..ROUNDS {
        // Mostly two instances; every fourth time both ask the same one.
        let other = usize::from(n % 4 != 0);
        let text = n.to_string();
        let ask = |i: usize| clients[i].execute_keyed(key(n, &text), "d", Place(text.clone()));
        let (first, second) = tokio::join!(ask(0), ask(other));
        let (Ok(first), Ok(second)) = (first.unwrap(), second.unwrap());
        assert_eq!(first, second);
        assert_eq!(first.version, n + 1);
    }
    let desk = clients[0].load::<Desk>("d").await.unwrap().unwrap();
    let expected: Vec<String> = (0..ROUNDS).map(|n| n.to_string()).collect();
    assert_eq!(desk.texts, expected, "one order each");
    let reused = clients[1].execute_keyed(key(0, "another"), "d", Place("another".into())).await;
    assert!(matches!(reused, Err(ClientError::KeyReused)), "{reused:?}");
    for running in running {
        assert!(running.shutdown(Duration::from_secs(20)).await);
    }
}
