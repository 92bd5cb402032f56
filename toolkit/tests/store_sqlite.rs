//! The store in a SQLite file conforms.
#![cfg(all(feature = "testing", feature = "sqlite"))]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use quadrille::{
    store::{EventStore, sqlite::SqliteStore},
    testing::store_conformance::StorePlace,
};

/// A directory of its own, removed in the end.
struct InFile(PathBuf);

impl InFile {
    fn fresh() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quadrille-store-{}-{n}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for InFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[async_trait]
impl StorePlace for InFile {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(SqliteStore::open(self.0.join("sub/payment.db")).await.unwrap())
    }
}

quadrille::store_conformance!(InFile::fresh());
