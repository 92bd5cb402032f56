//! Deadlines (P13), effects (P14) and dead ones of both (P12) over the running engine.

#[allow(unreachable_pub)]
mod booking;
#[allow(unreachable_pub)]
mod killed;
#[allow(unreachable_pub)]
mod letters;
#[allow(unreachable_pub)]
mod p13;
#[allow(unreachable_pub)]
mod p14;
mod suite;
mod turns;

mod memory {
    use std::sync::Arc;

    use async_trait::async_trait;
    use quadrille::{
        store::{EventStore, memory::MemoryStore},
        testing::store_conformance::StorePlace,
    };

    #[derive(Default)]
    struct InMemory(MemoryStore);

    #[async_trait]
    impl StorePlace for InMemory {
        async fn open(&self) -> Arc<dyn EventStore> {
            Arc::new(self.0.clone())
        }
    }

    crate::suite::agenda_suite!(InMemory::default());
}

#[cfg(feature = "sqlite")]
mod sqlite {
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
            let name = format!("quadrille-agenda-{}-{n}", std::process::id());
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
            Arc::new(SqliteStore::open(self.0.join("booking.db")).await.unwrap())
        }
    }

    crate::suite::agenda_suite!(InFile::fresh());
}
