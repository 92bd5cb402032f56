//! Brings the tables up to date, in one transaction, so that several processes may start at once.

use std::time::Instant;

use sqlx::{
    Executor as _, Row as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType},
    sqlite::SqliteConnection,
};

use super::{BUSY_TIMEOUT, connections::Connections, error::store_error};
use crate::store::StoreError;

/// Numbered from 1, in order. Released files are frozen: a test holds their checksums.
const MIGRATIONS: [(&str, &str); 5] = [
    ("event store", include_str!("../../../migrations/sqlite/0001_event_store.sql")),
    ("agenda", include_str!("../../../migrations/sqlite/0002_agenda.sql")),
    ("inbox", include_str!("../../../migrations/sqlite/0003_inbox.sql")),
    ("letters", include_str!("../../../migrations/sqlite/0004_letters.sql")),
    ("map of lanes", include_str!("../../../migrations/sqlite/0005_map_of_lanes.sql")),
];

const RECORD: &str = "CREATE TABLE IF NOT EXISTS quadrille_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    checksum   BLOB    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT";

fn migrations() -> impl Iterator<Item = Migration> {
    (1..).zip(MIGRATIONS).map(|(version, (name, sql))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    })
}

pub(super) async fn run(writer: &Connections) -> Result<(), StoreError> {
    let since = Instant::now();
    let mut write = loop {
        match writer.write().await {
            // Making the write-ahead log is not covered by the busy time-out.
            Err(StoreError::Unavailable(error)) if was_busy(&*error) => {
                if since.elapsed() > BUSY_TIMEOUT {
                    return Err(StoreError::Unavailable(error));
                }
                tokio::time::sleep(BUSY_TIMEOUT / 500).await;
            }
            other => break other?,
        }
    };
    apply(write.connection()).await?;
    write.commit().await.map_err(store_error)
}

fn was_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(super::error::is_busy)
}

async fn apply(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    refuse_strangers(connection).await?;
    connection.execute(RECORD).await.map_err(store_error)?;
    let applied = recorded(connection).await?;
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
    for migration in migrations().skip(applied.len()) {
        sqlx::raw_sql(migration.sql).execute(&mut *connection).await.map_err(store_error)?;
        sqlx::query("INSERT INTO quadrille_migrations VALUES (?1, ?2, ?3, unixepoch() * 1000000)")
            .bind(migration.version)
            .bind(&*migration.description)
            .bind(&*migration.checksum)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    Ok(())
}

/// A file of another program is not made ours.
async fn refuse_strangers(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let strange: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema
          WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'quadrille_migrations')",
    )
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    if strange == 0 {
        return Ok(());
    }
    Err(StoreError::Mismatch("the file holds another program's tables".into()))
}

async fn recorded(connection: &mut SqliteConnection) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let rows = sqlx::query("SELECT version, checksum FROM quadrille_migrations ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, _>>()
        .map_err(store_error)
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
                "8703429bb5bbd776ed9577227a2149307c536b1296d5dde0d4eb3935a016cf0ab4999998d5c1c1f3a7045c25b1aa6712",
                "4fa470d8d17ae79668b413a3c16a706e5260302c2c2f6713e88e554bd0ad841c68aa1bbc6170f7223731c6495cf1f069",
                "6e6b6d2983e45ff83c6c7261f0d82122067800e78a8bc94d09bcec37826c9c925b80a2f438f3abc37ddaf1045110c7fb",
                "d15f81a10e52aed6e2cf48d5deb99eddf369b4841bfeb795f145a01ef258b63041ebe32b998460aa8ce062eb68e62be4",
                "e74121016ba330e471a873dfff026d06cfcc43c2d3dc209558111e1dd794d22abfd2693cdfd8e60c2243ebbd18de5203",
            ],
            "a released migration was edited: add another one instead"
        );
    }
}
