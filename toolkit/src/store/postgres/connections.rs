//! Connections to the server: how many, set up how, and for how long.
//!
//! A connection goes back only when its last statement has ended; whoever is dropped in between closes
//! it. (A general pool asks the server a question more each time, and keeps what was half sent.)

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, Postgres, Row as _,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow},
    query::Query,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    error::{is_of_the_statement, store_error},
    limits::PostgresLimits,
};
use crate::store::StoreError;

/// What a session must have. All our statements find few rows through an index, whatever statistics say:
/// a generic plan that was made while a table was empty must not read it whole when it is full. An
/// append never gives up durability that the server was told to have, nor goes without any (P15).
const SETUP: &str = "
SELECT version(), current_setting('server_version_num')::int8,
       current_setting('fsync')::bool AND current_setting('full_page_writes')::bool,
       set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_bitmapscan', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false),
       set_config('jit', 'off', false),
       set_config('statement_timeout', $1, false),
       set_config('lock_timeout', $2, false),
       set_config('idle_in_transaction_session_timeout', $3, false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('synchronous_commit',
                  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                       ELSE current_setting('synchronous_commit') END, false)";

/// Some connections of one kind.
pub(super) struct Connections {
    options: PgConnectOptions,
    limits: Arc<PostgresLimits>,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
}

pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) server: Server,
    since: Instant,
}

/// What a server says about itself.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) text: String,
    pub(super) version: i64,
    pub(super) is_durable: bool,
}

/// A session that goes back if its statement ends, and is closed if not.
pub(super) struct Lent {
    session: Session,
    home: Arc<Connections>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(
        options: PgConnectOptions,
        limits: Arc<PostgresLimits>,
        max: usize,
    ) -> Arc<Self> {
        let options = options.application_name("quadrille").disable_statement_logging();
        let places = Arc::new(Semaphore::new(max.max(1)));
        Arc::new(Self { options, limits, places, idle: Mutex::default() })
    }

    pub(super) async fn lend(self: &Arc<Self>) -> Result<Lent, StoreError> {
        let place = timeout(self.limits.lend_timeout, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(StoreError::Unavailable(
                "all connections to the database are in use".into(),
            ));
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = match idle {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(Lent { session, home: self.clone(), _place: place })
    }

    async fn connect(&self) -> Result<Session, StoreError> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            let server = set_up(&mut connection, &self.limits).await?;
            Ok(Session { connection, server, since: Instant::now() })
        };
        match timeout(self.limits.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(store_error),
            Err(_) => Err(StoreError::Unavailable("the database did not answer in time".into())),
        }
    }

    fn take_back(&self, session: Session) {
        if session.since.elapsed() < self.limits.connection_lifetime {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    /// The server has gone: what is idle has gone with it.
    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn set_up(connection: &mut PgConnection, limits: &PostgresLimits) -> Result<Server, Error> {
    let rows = sqlx::query(SETUP)
        .bind(millis(limits.statement_timeout))
        .bind(millis(limits.lock_timeout))
        .bind(millis(limits.idle_in_transaction_timeout))
        .persistent(false)
        .fetch_all(connection)
        .await?;
    let row = rows.first().ok_or(Error::RowNotFound)?;
    Ok(Server { text: row.try_get(0)?, version: row.try_get(1)?, is_durable: row.try_get(2)? })
}

/// Milliseconds as the server reads them; 0 would mean no limit at all.
fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis().clamp(1, i32::MAX as u128))
}

impl Lent {
    pub(super) fn server(&self) -> &Server {
        &self.session.server
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }

    /// Runs one statement, which commits by itself, and reads *all* of the answer: the commit's own
    /// success or failure comes behind the rows (P15).
    pub(super) async fn fetch(
        mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, Error> {
        let limit = self.home.limits.answer_timeout;
        let answer = match timeout(limit, query.fetch_all(self.connection())).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        match &answer {
            Ok(_) => self.give_back(),
            Err(error) if is_of_the_statement(error) => self.settle().await,
            Err(_) => self.home.forget_idle(),
        }
        answer
    }

    /// The server tells an error before it ends the transaction. Whoever has read the error must not meet its
    /// locks any more: a claim of the agenda would pass over what they hold.
    async fn settle(mut self) {
        let limit = self.home.limits.answer_timeout;
        if let Ok(Ok(())) = timeout(limit, self.connection().ping()).await {
            self.give_back();
        }
    }

    /// No transaction is open, and nothing is on its way.
    pub(super) fn give_back(self) {
        let Self { session, home, _place } = self;
        home.take_back(session);
    }
}
