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
async fn the_index_by_time_beside_none() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    let store = database.store().await;
    begin(&store).await;
    batches(&store, 1000).await;
    let (mut with, mut without) = (vec![], vec![]);
    for round in 0..ROUNDS {
        execute(&mut owner, "CREATE INDEX IF NOT EXISTS events_time ON events USING brin (time)")
            .await;
        execute(&mut owner, "VACUUM events").await;
        with.extend(batches(&store, 2 * round).await);
        execute(&mut owner, "DROP INDEX events_time").await;
        execute(&mut owner, "VACUUM events").await;
        without.extend(batches(&store, 2 * round + 1).await);
    }
    let (with, without) = (median(&mut with), median(&mut without));
    println!("{EVENTS} events an append: {with:?} with the index, {without:?} without");
    execute(&mut owner, "CREATE INDEX events_time ON events USING brin (time)").await;
    let saga = Runtime::tokio().new_saga_id();
    let since = Instant::now();
    assert!(store.saga_events(saga, 10).await.unwrap().is_empty());
    println!(
        "a saga of now among {} events: {:?}",
        (2 * ROUNDS + 1) * BATCHES * EVENTS,
        since.elapsed()
    );
    let since = Instant::now();
    let old = quadrille::id::SagaId(uuid::Uuid::nil());
    assert!(store.saga_events(old, 10).await.unwrap().is_empty());
    println!("one of an unknown time: {:?}", since.elapsed());
}
