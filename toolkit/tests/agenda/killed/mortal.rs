//! The store of a process that will be killed.

use std::sync::Arc;

use async_trait::async_trait;
use quadrille::store::{
    AgendaClaim, AgendaItem, Append, AppendError, Appended, EventStore, StoreError, StreamRead,
    StreamSlice, layer::StoreLayer,
};

use super::fate::Fate;

/// As the store inside, while the process lives.
#[derive(Debug)]
pub struct Mortal {
    pub store: Arc<dyn EventStore>,
    pub fate: Arc<Fate>,
}

#[async_trait]
impl StoreLayer for Mortal {
    fn beneath(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn before(&self) {
        self.fate.alive().await;
    }

    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        self.fate.moment_of("before the append", append).await;
        let appended = self.store.append(append).await;
        self.fate.moment_of("after the append", append).await;
        if appended.is_ok() {
            self.fate.committed(append);
        }
        appended
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        let slices = self.store.load(reads).await;
        if reads.iter().any(|read| self.fate.is_of(read.stream.as_str())) {
            self.fate.moment_of_its_own("loaded").await;
        }
        slices
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        let items = self.store.claim_agenda(claim).await?;
        self.fate.claimed(&items).await;
        Ok(items)
    }
}
