//! A store that tells which orders have ended, the moment that it is durable.

use std::sync::Arc;

use async_trait::async_trait;
use quadrille::store::{Append, AppendError, Appended, EventStore, layer::StoreLayer};

use super::ends::Ends;

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) ends: Arc<Ends>,
}

#[async_trait]
impl StoreLayer for Watched {
    fn beneath(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        let appended = self.store.append(append).await?;
        for event in &append.events {
            self.ends.durable(&event.event_type, event.stream.as_str());
        }
        Ok(appended)
    }
}
