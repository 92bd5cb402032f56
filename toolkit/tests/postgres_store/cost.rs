//! What finding a saga's events costs an append. For people: run with `--ignored --nocapture`.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use quadrille::{
    runtime::Runtime,
    store::{EventStore as _, postgres::PostgresStore},
};

use super::{
    place::{Database, execute},
    work::{append, begin},
};

const EVENTS: usize = 500;
const ROUNDS: usize = 12;
const BATCHES: usize = 12;

/// Appends of new streams, with times and sagas as they are; gives the time of each.
async fn batches(store: &PostgresStore, round: usize) -> Vec<Duration> {
    let runtime = Runtime::tokio();
    let mut times = vec![];
    for batch in 0..BATCHES {
        let names: Vec<String> = (0..EVENTS).map(|n| format!("r{round}-b{batch}-{n:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let lanes: Vec<u32> = (0..EVENTS).map(|n| u32::try_from(n % 3).unwrap()).collect();
        let mut append = append(&names, &lanes);
        for event in &mut append.events {
            event.time = runtime.clock.now();
            event.saga = runtime.new_saga_id();
            event.payload = vec![b'x'; 400].into();
        }
        let since = Instant::now();
        store.append(&append).await.unwrap();
        times.push(since.elapsed());
    }
    times
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn an_index_for_sagas_beside_none() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    let store = database.store().await;
    begin(&store).await;
    batches(&store, 1000).await;
    let variants = [
        ("none", "SELECT"),
        ("by time, brin", "CREATE INDEX events_found ON events USING brin (time)"),
        ("by saga", "CREATE INDEX events_found ON events (saga)"),
    ];
    let mut times = [vec![], vec![], vec![]];
    for round in 0..ROUNDS {
        for (n, (_, make)) in variants.iter().enumerate() {
            for sql in ["DROP INDEX IF EXISTS events_found", make, "VACUUM events"] {
                execute(&mut owner, sql).await;
            }
            times[n].extend(batches(&store, round * variants.len() + n).await);
        }
    }
    for ((name, _), times) in variants.iter().zip(&mut times) {
        println!("{EVENTS} events an append, index {name}: {:?}", median(times));
    }
    for drop in ["SELECT", "DROP INDEX events_found"] {
        execute(&mut owner, drop).await;
        execute(&mut owner, "VACUUM ANALYZE events").await;
        let since = Instant::now();
        let saga = Runtime::tokio().new_saga_id();
        assert!(store.saga_events(saga, 10).await.unwrap().is_empty());
        let events = (ROUNDS * variants.len() + 1) * BATCHES * EVENTS;
        println!("a saga among {events} events, {drop}: {:?}", since.elapsed());
    }
}
