//! The tables and their versions.

use quadrille::store::{EventStore as _, StoreError, postgres::PostgresStore};
use tokio::task::JoinSet;

use super::{
    place::{Database, execute},
    work::{append, begin},
};

/// Several instances that start on a new database at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_may_migrate_at_once() {
    let database = Database::fresh().await;
    let mut starting = JoinSet::new();
    for _ in 0..5 {
        let url = database.url();
        starting.spawn(async move { PostgresStore::connect(&url).await.unwrap() });
    }
    for store in starting.join_all().await {
        begin(&store).await;
        assert!(store.server().starts_with("PostgreSQL "), "{}", store.server());
    }
    database.store().await.append(&append(&["s"], &[0])).await.unwrap();
}

/// An older program does not touch what a newer one has made, nor what someone has edited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_schema_is_refused() {
    let database = Database::fresh().await;
    drop(database.store().await);
    let mut owner = database.connect().await;
    let newer = "INSERT INTO schema_migrations (version, name, checksum) VALUES (99, 'x', '')";
    for (sql, expected) in [
        (newer, "newer version"),
        (
            "DELETE FROM schema_migrations WHERE version = 99; UPDATE schema_migrations SET checksum = ''",
            "not the one",
        ),
    ] {
        execute(&mut owner, sql).await;
        match PostgresStore::connect(&database.url()).await {
            Err(StoreError::Mismatch(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

/// An address that cannot be read is not repeated: it may hold a password.
#[tokio::test]
async fn a_wrong_address_is_told_without_its_password() {
    match PostgresStore::connect("postgres://me:secret@[broken/db").await {
        Err(error @ StoreError::Mismatch(_)) => {
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // Nothing listens on this port: it may work later.
    let nobody = PostgresStore::connect("postgres://me:secret@127.0.0.1:1/db").await;
    match nobody {
        Err(error @ StoreError::Unavailable(_)) => {
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
