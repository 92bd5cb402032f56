//! The event store in one SQLite file: the embedded default.
//!
//! One connection writes, in `BEGIN IMMEDIATE` transactions; a few others read, and never wait for it
//! (write-ahead log). `synchronous=FULL`: what was answered survives a power cut (P15).

/// The database's clock, in microseconds (P9).
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000"
    };
}

mod agenda;
mod append;
mod causes;
mod claim;
mod connections;
mod error;
mod held;
mod insert;
mod letters;
mod load;
mod migrate;
mod number;
mod relayed;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{
    ConnectOptions as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use self::connections::Connections;
use super::{
    AgendaClaim, AgendaItem, AgendaQuery, Append, AppendError, Appended, Claim, Claimed,
    EventStore, Floor, Gap, HeldMessage, HeldState, Lease, Letter, LetterCounts, LetterId,
    NewRuling, Position, RecordedEvent, Registered, Registration, Ruled, Ruling, RulingQuery,
    ShardChange, StoreError, StreamRead, StreamSlice,
};
use crate::{
    id::{CauseId, Lane, LaneSeq, SagaId, SourceLane},
    runtime::Timestamp,
};

/// How long a write waits for another process's, before it is [`AppendError::Unavailable`].
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections read at the same time.
pub const READERS_MAX: usize = 3;
/// The page cache of each connection, in KiB.
pub const CACHE_KIB: u32 = 16 * 1024;
/// The write-ahead log is moved into the file when it has this many pages (of 4 KiB).
pub const CHECKPOINT_PAGES: u32 = 4000;
/// Rows that a connection's thread may decode ahead of their reader.
const ROW_BUFFER: usize = 512;
/// Prepared statements that a connection keeps; there are fewer kinds.
const STATEMENTS_MAX: usize = 64;

/// An [`EventStore`] in a SQLite file.
pub struct SqliteStore {
    path: Box<Path>,
    writer: Connections,
    readers: Connections,
}

impl SqliteStore {
    /// Opens the file, makes it and its directory when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened, [`StoreError::Mismatch`] when a newer
    /// version of this program has written it, [`StoreError::Corrupt`] when it is no such store.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), BUSY_TIMEOUT).await
    }

    async fn open_with(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let made = tokio::fs::create_dir_all(parent).await;
            made.map_err(|error| StoreError::Unavailable(error.into()))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(busy_timeout)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(STATEMENTS_MAX)
            .row_buffer_size(ROW_BUFFER)
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .disable_statement_logging();
        let writing = options.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let store = Self {
            path: path.into(),
            writer: Connections::new(writing, 1),
            readers: Connections::new(options.read_only(true), READERS_MAX),
        };
        migrate::run(&store.writer).await?;
        Ok(store)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteStore({})", self.path.display())
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError> {
        relayed::register(&self.writer, registration).await
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        load::streams(&self.readers, reads).await
    }

    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        append::run(&self.writer, append).await
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        causes::outcome(&self.writer, cause).await
    }

    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError> {
        causes::answer(&self.readers, cause).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        claim::run(&self.writer, claim).await
    }

    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError> {
        claim::positions(&self.readers).await
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        held::of_key(&self.readers, source, key, limit).await
    }

    async fn held_in(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        held::in_state(&self.readers, state, limit).await
    }

    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        letters::held_of_saga(&self.readers, saga, limit).await
    }

    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        letters::saga_events(&self.readers, saga, limit).await
    }

    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        letters::letter(&self.readers, id).await
    }

    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError> {
        letters::rule(&self.writer, ruling).await
    }

    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError> {
        letters::rulings(&self.readers, query).await
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        letters::count(&self.readers).await
    }

    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        claim::gaps(&self.readers, limit).await
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        agenda::claim(&self.writer, &self.readers, claim).await
    }

    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError> {
        agenda::find(&self.readers, query).await
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        relayed::lane_heads(&self.readers).await
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        load::lane(&self.readers, lane, after, limit).await
    }

    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError> {
        relayed::floor(&self.readers, lane).await
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        relayed::set_floor(&self.writer, floor).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        relayed::lease(&self.writer, name, holder, ttl).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        relayed::release(&self.writer, name, holder).await
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        relayed::close_shards(&self.writer).await
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        relayed::open_shards(&self.writer, change, shards).await
    }

    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        causes::prune(&self.writer, before, limit).await
    }

    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        causes::prune_inbox(&self.writer, before, limit).await
    }
}
