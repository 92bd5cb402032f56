//! The event store in PostgreSQL, one database (or schema) a service: for production.
//!
//! An append is one call of one function on the server, committed by itself: one round trip whatever the
//! batch, and no transaction is ever open while this side does something else. Plans do not depend on
//! statistics: see `connections`.

mod agenda;
mod append;
mod arguments;
mod causes;
mod claim;
mod connections;
mod error;
mod held;
mod letters;
mod limits;
mod load;
mod migrate;
mod number;
mod relayed;

use std::{
    fmt,
    str::FromStr as _,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::RwLock;

pub use self::limits::PostgresLimits;
use self::{connections::Connections, error::store_error};
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

/// The oldest server that this store runs on, as in `server_version_num`.
pub const SERVER_VERSION_MIN: u32 = 150_000;

/// An [`EventStore`] in a PostgreSQL database.
///
/// # Addresses
/// `postgres://user:password@host:port/database`. TLS is asked for in the address: `?sslmode=verify-full`,
/// with `&sslrootcert=/path/ca.pem` where the authority is your own; without it TLS is used when the
/// server offers it. A schema is chosen by `?options[search_path]=payment`.
///
/// # Roles
/// The tables belong to an owner, who runs [`migrate`](Self::migrate). A service needs less: give its role
/// to [`grant_service_role`](Self::grant_service_role), and it can add events, and neither change nor
/// remove any.
pub struct PostgresStore {
    place: String,
    server: String,
    appenders: Arc<Connections>,
    others: Arc<Connections>,
    /// Held for reading by each append that is on its way, also by those whose callers have gone.
    under_way: Arc<RwLock<()>>,
    /// How many lanes the store has; 0 as long as that is not known.
    lanes: AtomicU32,
}

impl PostgresStore {
    /// Connects with the default limits. Brings the tables up to date if this role may do that.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server cannot be reached or refuses the role;
    /// [`StoreError::Mismatch`] when the address cannot be read, the server is too old, or the tables are
    /// newer than this program, or older and not this role's to change.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, PostgresLimits::default()).await
    }

    /// As [`connect`](Self::connect), with limits of one's own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, limits: PostgresLimits) -> Result<Self, StoreError> {
        let options = address(url)?;
        let database = options.get_database().unwrap_or(options.get_username());
        let place = format!("{}:{}/{database}", options.get_host(), options.get_port());
        let limits = Arc::new(limits);
        let connections = |max| Connections::new(options.clone(), limits.clone(), max);
        let others = connections(limits.readers_max);
        let server = migrate::check(&others).await?;
        Ok(Self {
            place,
            server,
            appenders: connections(limits.appenders_max),
            others,
            under_way: Arc::default(),
            lanes: AtomicU32::new(0),
        })
    }

    /// Brings the tables up to date, as their owner. Several may do it at the same time.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn migrate(owner_url: &str) -> Result<(), StoreError> {
        migrate::run(&single(owner_url)?).await
    }

    /// Lets a role do what a service must: read everything, add events, and keep its positions, counters,
    /// held messages, agenda and the like; not change or remove an event. The role must exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no such role, or the tables are not the owner's.
    pub async fn grant_service_role(owner_url: &str, role: &str) -> Result<(), StoreError> {
        migrate::grant(&single(owner_url)?, role).await
    }

    /// The server's own words for what it is, for example `PostgreSQL 15.18 on x86_64-pc-linux-gnu, …`.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }
}

/// The error names no part of the address: it may hold a password.
fn address(url: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(url).map_err(|_| {
        StoreError::Mismatch(
            "the address of the database cannot be read; it is \
             postgres://user:password@host:port/database"
                .into(),
        )
    })
}

fn single(url: &str) -> Result<Arc<Connections>, StoreError> {
    Ok(Connections::new(address(url)?, Arc::default(), 1))
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.place)
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn register(&self, registration: &Registration) -> Result<Registered, StoreError> {
        relayed::register(&self.others, registration).await
    }

    async fn load(&self, reads: &[StreamRead]) -> Result<Vec<StreamSlice>, StoreError> {
        load::streams(&self.others, reads).await
    }

    async fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        append::run(self, append).await
    }

    async fn outcome(&self, cause: CauseId) -> Result<Option<Appended>, StoreError> {
        // An append that was dropped here may not even have left yet.
        let _ended = self.under_way.write().await;
        causes::outcome(&self.others, cause).await
    }

    async fn answer(&self, cause: CauseId) -> Result<Option<Bytes>, StoreError> {
        causes::answer(&self.others, cause).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        claim::run(&self.others, claim).await
    }

    async fn positions(&self) -> Result<Vec<(SourceLane, Position)>, StoreError> {
        claim::positions(&self.others).await
    }

    async fn held(
        &self,
        source: &SourceLane,
        key: &str,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        held::of_key(&self.others, source, key, limit).await
    }

    async fn held_in(
        &self,
        state: HeldState,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        held::in_state(&self.others, state, limit).await
    }

    async fn held_of_saga(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        letters::held_of_saga(&self.others, saga, limit).await
    }

    async fn saga_events(
        &self,
        saga: SagaId,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        letters::saga_events(&self.others, saga, limit).await
    }

    async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        letters::letter(&self.others, id).await
    }

    async fn rule(&self, ruling: &NewRuling) -> Result<Ruled, StoreError> {
        letters::rule(&self.others, ruling).await
    }

    async fn rulings(&self, query: &RulingQuery) -> Result<Vec<Ruling>, StoreError> {
        letters::rulings(&self.others, query).await
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        letters::count(&self.others).await
    }

    async fn gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        claim::gaps(&self.others, limit).await
    }

    async fn claim_agenda(&self, claim: &AgendaClaim) -> Result<Vec<AgendaItem>, StoreError> {
        agenda::claim(&self.others, claim).await
    }

    async fn agenda(&self, query: &AgendaQuery) -> Result<Vec<AgendaItem>, StoreError> {
        agenda::find(&self.others, query).await
    }

    async fn lane_heads(&self) -> Result<Vec<LaneSeq>, StoreError> {
        relayed::lane_heads(&self.others).await
    }

    async fn read_lane(
        &self,
        lane: Lane,
        after: LaneSeq,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        load::lane(&self.others, lane, after, limit).await
    }

    async fn floor(&self, lane: Lane) -> Result<Option<Floor>, StoreError> {
        relayed::floor(&self.others, lane).await
    }

    async fn set_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        relayed::set_floor(&self.others, floor).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        relayed::lease(&self.others, name, holder, ttl).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        relayed::release(&self.others, name, holder).await
    }

    async fn close_shards(&self) -> Result<ShardChange, StoreError> {
        relayed::close_shards(&self.others).await
    }

    async fn open_shards(&self, change: u64, shards: u32) -> Result<bool, StoreError> {
        relayed::open_shards(&self.others, change, shards).await
    }

    async fn prune_causes(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        causes::prune(&self.others, before, limit).await
    }

    async fn prune_inbox(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        causes::prune_inbox(&self.others, before, limit).await
    }
}

/// The rows that a statement gives, from one round trip.
async fn rows(
    connections: &Arc<Connections>,
    query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
) -> Result<Vec<sqlx::postgres::PgRow>, StoreError> {
    let lent = connections.lend().await?;
    lent.fetch(query).await.map_err(store_error)
}
