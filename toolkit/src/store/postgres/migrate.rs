//! Brings the tables up to date, in one transaction under a lock, so that several processes may start at
//! once.

use std::sync::Arc;

use sqlx::{
    Error, Row as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType},
    postgres::PgConnection,
};

use super::{
    SERVER_VERSION_MIN,
    connections::{Connections, Lent, Server},
    error::store_error,
    rows,
};
use crate::store::StoreError;

/// Numbered from 1, in order. Released files are frozen: a test holds their checksums.
const MIGRATIONS: [(&str, &str); 8] = [
    ("event store", include_str!("../../../migrations/postgres/0001_event_store.sql")),
    ("append", include_str!("../../../migrations/postgres/0002_append.sql")),
    ("claim", include_str!("../../../migrations/postgres/0003_claim.sql")),
    ("agenda", include_str!("../../../migrations/postgres/0004_agenda.sql")),
    ("inbox", include_str!("../../../migrations/postgres/0005_inbox.sql")),
    ("letters", include_str!("../../../migrations/postgres/0006_letters.sql")),
    ("what follows what", include_str!("../../../migrations/postgres/0007_what_follows_what.sql")),
    ("map of lanes", include_str!("../../../migrations/postgres/0008_map_of_lanes.sql")),
];

const RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version    bigint      PRIMARY KEY,
    name       text        NOT NULL,
    checksum   bytea       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)";

/// Any number, as long as it is the same for all.
const LOCK: i64 = 0x5155_4144_0001;

fn migrations() -> impl Iterator<Item = Migration> {
    (1..).zip(MIGRATIONS).map(|(version, (name, sql))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    })
}

/// Checks server and tables, and migrates when that is needed and allowed. Gives the server's name.
pub(super) async fn check(connections: &Arc<Connections>) -> Result<String, StoreError> {
    let mut lent = connections.lend().await?;
    check_server(lent.server())?;
    let server = lent.server().text.clone();
    let applied = applied(lent.connection()).await.map_err(store_error)?;
    lent.give_back();
    let known = compare(&applied)?;
    if known < MIGRATIONS.len() {
        run(connections).await.map_err(|error| not_allowed(error, known))?;
    }
    Ok(server)
}

fn check_server(server: &Server) -> Result<(), StoreError> {
    if server.version < i64::from(SERVER_VERSION_MIN) {
        let text = &server.text;
        return Err(StoreError::Mismatch(format!("it needs PostgreSQL 15 or later, not {text}")));
    }
    if !server.is_durable {
        tracing::warn!(
            "the server runs with fsync or full_page_writes off: a crash of its machine can lose what \
             was acknowledged, and then the relay halts (P8)"
        );
    }
    Ok(())
}

fn not_allowed(error: StoreError, known: usize) -> StoreError {
    let refused = match &error {
        StoreError::Unavailable(error) => error.downcast_ref::<Error>(),
        _ => None,
    };
    let code = refused.and_then(Error::as_database_error).and_then(|e| e.code());
    if code.as_deref() != Some("42501") {
        return error;
    }
    StoreError::Mismatch(format!(
        "its tables are at version {known}, this program needs {}, and this role may not change them: run \
         PostgresStore::migrate with the address of their owner",
        MIGRATIONS.len()
    ))
}

/// Migrates; needs the owner's rights.
pub(super) async fn run(connections: &Arc<Connections>) -> Result<(), StoreError> {
    let mut lent = connections.lend().await?;
    check_server(lent.server())?;
    match transaction(&mut lent).await {
        Ok(()) => {
            lent.give_back();
            Ok(())
        }
        // The connection is closed, which rolls back.
        Err(error) => Err(error),
    }
}

async fn transaction(lent: &mut Lent) -> Result<(), StoreError> {
    let connection = lent.connection();
    execute(connection, "BEGIN").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .fetch_all(&mut *connection)
        .await
        .map_err(store_error)?;
    execute(connection, RECORD).await?;
    let done = compare(&applied(connection).await.map_err(store_error)?)?;
    for migration in migrations().skip(done) {
        sqlx::raw_sql(migration.sql).execute(&mut *connection).await.map_err(store_error)?;
        sqlx::query("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)")
            .bind(migration.version)
            .bind(&*migration.description)
            .bind(&*migration.checksum)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    execute(connection, "COMMIT").await
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop).map_err(store_error)
}

/// The migrations that were applied, in order; none where there is no table.
async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let there = sqlx::query("SELECT to_regclass('schema_migrations') IS NOT NULL")
        .fetch_all(&mut *connection)
        .await?;
    if !there.first().ok_or(Error::RowNotFound)?.try_get(0)? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("SELECT version, checksum FROM schema_migrations ORDER BY version")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// How many of our migrations are applied; an error when the others are not ours.
fn compare(applied: &[(i64, Vec<u8>)]) -> Result<usize, StoreError> {
    for (number, (version, checksum)) in applied.iter().enumerate() {
        match migrations().nth(number) {
            Some(own) if own.version == *version && *own.checksum == **checksum => {}
            Some(own) if own.version == *version => {
                return Err(StoreError::Mismatch(format!(
                    "its migration {version} is not the one of this program"
                )));
            }
            _ => {
                return Err(StoreError::Mismatch(format!(
                    "it was written by a newer version: it has the migration {version}, this program knows {}",
                    MIGRATIONS.len()
                )));
            }
        }
    }
    Ok(applied.len())
}

pub(super) async fn grant(connections: &Arc<Connections>, role: &str) -> Result<(), StoreError> {
    rows(connections, sqlx::query("SELECT grant_service_role($1::name)").bind(role)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that exists must not meet another text under the same number.
    #[test]
    fn released_migrations_are_frozen() {
        let found: Vec<String> = migrations()
            .map(|migration| migration.checksum.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        assert_eq!(
            found,
            [
                "eeef52b4395db037625c11b6a81c8ba8cb5c7396fe903dd0bbdbd68463ad05f0d80c58ab408e502b5a644a66e78f5df6",
                "94ed22b3b97cae47d05e978f8f3a17d6fbbfc3f119d0511af4b6e7a130c2277af320687892c4b9337fd2af7f8531e7a9",
                "b1957e490945e5f822176b5d27f97c10ceace087eaab126cdf4580ba47c5090a5a2beb91e7a38764d25dec30dd32f2bc",
                "b1598aaeb5c5587ee1edb1630610123895aa676a7cc419a1ba640a11f0df024713191f8f60360e0b4cb82d6c07264cd2",
                "0be4949dee72c6f089f3fd1e64db688e9da6e110e937688ffff267af7bc090d1dc239e8c3e765ebca9aed378427b09ca",
                "00fbbae00c3ef483228138a310b6923d138a6ec52baaade152f0f476ccac104a5afe48db6ee63a15f99db169a442bdf0",
                "bc7d4c29678f4299b6f5731511a9d67ec88ff6da55b6d53d82d66aee7f9342e040e6838ae7acc8cefcdec73ac1880835",
                "fc18b66fa73fd31750553d74a897118b4b151e686a8eb4b0ce1391f9fb825f657416f5b0922dca2c1807b82396d1a673",
            ],
            "a released migration was edited: add another one instead"
        );
    }
}
