//! Keys of commands, on the stores that need no server. `postgres_store` has the same test.
#![allow(missing_docs)]

mod twins;

use std::sync::Arc;

use quadrille::store::memory::MemoryStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p17_two_clients_with_one_key_place_one_order_in_memory() {
    let store = Arc::new(MemoryStore::default());
    twins::two_clients_with_one_key_place_one_order([store.clone(), store]).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p17_two_clients_with_one_key_place_one_order_in_a_file() {
    use quadrille::store::sqlite::SqliteStore;
    let directory = std::env::temp_dir().join(format!("quadrille-keys-{}", std::process::id()));
    let file = directory.join("desks.db");
    let one = Arc::new(SqliteStore::open(&file).await.unwrap());
    let two = Arc::new(SqliteStore::open(&file).await.unwrap());
    twins::two_clients_with_one_key_place_one_order([one, two]).await;
    std::fs::remove_dir_all(directory).unwrap();
}
