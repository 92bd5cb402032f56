//! The store in memory conforms.
#![cfg(feature = "testing")]

use std::sync::Arc;

use async_trait::async_trait;
use quadrille::{
    store::{EventStore, memory::MemoryStore},
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
