//! The store in memory conforms.
#![cfg(feature = "testing")]

use std::sync::Arc;

use async_trait::async_trait;
use quadrille::{
    store::{EventStore, Registration, memory::MemoryStore},
    testing::store_conformance::StorePlace,
};

struct InMemory(MemoryStore);

#[async_trait]
impl StorePlace for InMemory {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(self.0.clone())
    }
}

quadrille::store_conformance!(InMemory(MemoryStore::default()));

async fn spread(store: &MemoryStore, shards: u32) {
    let change = store.close_shards().await.unwrap();
    assert!(store.open_shards(change.number, shards).await.unwrap());
}

/// A restored store has lost what was committed since the backup, under all its handles (P8).
#[tokio::test]
async fn p08_a_backup_can_be_put_back() {
    let store = MemoryStore::default();
    let handle = store.clone();
    let registration = Registration { service: "payment".into(), lanes: 1, shards: 1 };
    store.register(&registration).await.unwrap();
    let backup = store.fork();
    spread(&store, 2).await;
    assert_eq!(backup.register(&registration).await.unwrap().shards, 1, "a copy of its own");
    assert_eq!(handle.register(&registration).await.unwrap().shards, 2);
    store.restore(&backup);
    assert_eq!(handle.register(&registration).await.unwrap().shards, 1);
    spread(&backup, 3).await;
    assert_eq!(handle.register(&registration).await.unwrap().shards, 1, "and still one");
}
