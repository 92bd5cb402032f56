//! Every bound of the store, by name and with its unit.

use std::time::Duration;

/// Bounds on connections and times.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresLimits {
    /// Connections that append at the same time. An engine has one append under way; more serve several
    /// engines on one store.
    pub appenders_max: usize,
    /// Connections for everything else: loads, the relay's reads, leases, claims.
    pub readers_max: usize,
    /// How long a new connection may take, TLS and sign-in included.
    pub connect_timeout: Duration,
    /// How long to wait for a connection while all are in use.
    pub lend_timeout: Duration,
    /// How long a statement may run; the server ends it then.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock; the server ends it then.
    pub lock_timeout: Duration,
    /// How long the server lets a transaction wait for a client that says nothing (P9). Nothing here
    /// keeps one open; a process that was stopped in the middle of a migration may.
    pub idle_in_transaction_timeout: Duration,
    /// How long to wait for an answer that does not come, because the network swallows it. Longer than
    /// the server's own time-outs.
    pub answer_timeout: Duration,
    /// A connection that is older is replaced: the server frees what it has gathered.
    pub connection_lifetime: Duration,
}

impl Default for PostgresLimits {
    fn default() -> Self {
        Self {
            appenders_max: 4,
            readers_max: 4,
            connect_timeout: Duration::from_secs(5),
            lend_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(20),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            connection_lifetime: Duration::from_secs(30 * 60),
        }
    }
}
