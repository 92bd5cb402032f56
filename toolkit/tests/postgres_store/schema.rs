//! The tables and their versions.

use quadrille::{
    id::Lane,
    store::{EventStore as _, StoreError, postgres::PostgresStore},
};
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

/// What is migrated knows the last event of each lane. A program of the version before goes on appending to it
/// until it ends; what follows its events is not known, and not guessed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p08_a_migrated_store_knows_what_comes_last() {
    let database = Database::fresh().await;
    let store = database.store().await;
    begin(&store).await;
    let first = append(&["a", "b"], &[0, 0]);
    store.append(&first).await.unwrap();
    drop(store);
    let mut owner = database.connect().await;
    let back = "ALTER TABLE lanes DROP COLUMN last_id, DROP COLUMN before_id;
        DO $$ DECLARE f regprocedure; BEGIN
            SELECT oid INTO f FROM pg_proc WHERE proname = 'append' AND pronargs = 46;
            EXECUTE 'DROP FUNCTION ' || f;
        END $$;
        ALTER TABLE service DROP COLUMN change, DROP COLUMN closed_from;
        DELETE FROM schema_migrations WHERE version >= 7";
    execute(&mut owner, back).await;
    let store = database.store().await;
    let appended = store.append(&append(&["c"], &[0])).await.unwrap();
    assert_eq!(appended.follows, [(Lane(0), first.events[1].id)]);

    let event =
        "ROW(1, 1, 0, 1, gen_random_uuid(), gen_random_uuid(), 'old', 'X', '', 'k', NULL, '')";
    let mut arguments = vec!["NULL"; 45];
    arguments[1] = "1";
    arguments[11] = "'{0}'";
    arguments[12] = "'{1}'";
    let event = format!("ARRAY[{event}]::new_event[]");
    arguments[19] = &event;
    execute(&mut owner, &format!("SELECT append({})", arguments.join(", "))).await;
    let appended = store.append(&append(&["d"], &[0])).await.unwrap();
    assert_eq!((appended.first_in_lane, appended.follows), (vec![(Lane(0), 5)], vec![]));
    let appended = store.append(&append(&["e"], &[0])).await.unwrap();
    assert_eq!(appended.follows.len(), 1, "and known again");
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
