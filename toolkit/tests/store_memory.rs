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

/// A restored store has lost what was committed since the backup, under all its handles (P8).
#[tokio::test]
async fn p08_a_backup_can_be_put_back() {
    let store = MemoryStore::default();
    let handle = store.clone();
    let registration = Registration { service: "payment".into(), lanes: 1, shards: 1 };
    store.register(&registration).await.unwrap();
    let backup = store.fork();
    store.set_shards(2).await.unwrap();
    assert_eq!(backup.register(&registration).await.unwrap().shards, 1, "a copy of its own");
    assert_eq!(handle.register(&registration).await.unwrap().shards, 2);
    store.restore(&backup);
    assert_eq!(handle.register(&registration).await.unwrap().shards, 1);
    backup.set_shards(3).await.unwrap();
    assert_eq!(handle.register(&registration).await.unwrap().shards, 1, "and still one");
}
