//! Commits that fail late, hang, or are lost.

use std::sync::Arc;

use quadrille::store::{AppendError, EventStore as _};

use sqlx::{Connection as _, PgConnection, Row as _};

use super::{
    place::{Database, admin_url, execute},
    work::{append, begin, head, step, until},
};

/// Someone waits for a lock in the test's database.
const SOMEONE_WAITS: &str = "EXISTS (SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock')";

/// The commit comes behind the rows of the answer: an answer that is read by halves is none (P15).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_an_append_that_fails_at_its_commit_is_not_acknowledged() {
    let database = Database::fresh().await;
    let store = database.store().await;
    begin(&store).await;
    let mut owner = database.connect().await;
    execute(
        &mut owner,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'refused at the commit'; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .await;
    let doomed = append(&["s"], &[0]);
    match store.append(&doomed).await {
        Err(AppendError::Rejected(why)) => assert!(why.to_string().contains("refused at"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.outcome(doomed.cause.unwrap()).await.unwrap(), None);
    execute(&mut owner, "DROP TRIGGER late ON events").await;
    store.append(&doomed).await.unwrap();
    assert_eq!(store.lane_heads().await.unwrap(), [1, 0, 0]);
}

/// A server that was told to be careless is not believed (P15), and sessions have their time-outs (P9).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_an_append_is_durable_whatever_the_default_of_the_server() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    let name = database.name();
    execute(&mut owner, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    let store = database.store().await;
    begin(&store).await;
    execute(
        &mut owner,
        "CREATE TABLE seen (setting text, value text);
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen SELECT s, current_setting(s) FROM unnest(ARRAY['synchronous_commit',
                'idle_in_transaction_session_timeout', 'statement_timeout', 'lock_timeout',
                'transaction_isolation']) s;
            RETURN NULL; END $$;
         CREATE TRIGGER looks AFTER INSERT ON events EXECUTE FUNCTION look()",
    )
    .await;
    store.append(&append(&["s"], &[0])).await.unwrap();
    let rows = sqlx::raw_sql("SELECT setting, value FROM seen ORDER BY setting");
    let rows = rows.fetch_all(&mut owner).await.unwrap();
    let seen: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("idle_in_transaction_session_timeout", "5s"),
        ("lock_timeout", "10s"),
        ("statement_timeout", "20s"),
        ("synchronous_commit", "on"),
        ("transaction_isolation", "read committed"),
    ];
    assert_eq!(seen, expected.map(|(setting, value)| (setting.to_owned(), value.to_owned())));
}

/// An append that is at work on the server, for whoever it was, is waited for (P17).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p17_the_question_for_an_outcome_waits_for_an_append_that_is_under_way() {
    let database = Database::fresh().await;
    let (store, other) = (Arc::new(database.store().await), Arc::new(database.store().await));
    let epoch = begin(&*store).await;
    let (mut blocker, mut watcher) = (database.connect().await, database.connect().await);
    execute(&mut blocker, "BEGIN; SELECT * FROM positions FOR UPDATE").await;
    let mut slow = append(&["s"], &[0]);
    slow.positions.push(step(epoch, 0, 1));
    let cause = slow.cause.unwrap();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(&slow).await }
    });
    until(&mut watcher, SOMEONE_WAITS).await;
    let asking = tokio::spawn({
        let other = other.clone();
        async move { other.outcome(cause).await.unwrap() }
    });
    until(
        &mut watcher,
        "EXISTS (SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event = 'advisory')",
    )
    .await;
    assert!(!asking.is_finished());
    execute(&mut blocker, "ROLLBACK").await;
    let appended = appending.await.unwrap().unwrap();
    let outcome = asking.await.unwrap().unwrap();
    assert_eq!(outcome.first_in_lane, appended.first_in_lane);
}

/// A deadlock report is a conflict, and nothing is left of the append (P5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p05_a_deadlock_is_a_conflict() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    // The append is the first to look for a deadlock, and not before it is there.
    let slowly = format!("ALTER DATABASE {} SET deadlock_timeout = '3s'", database.name());
    execute(&mut owner, &slowly).await;
    let store = Arc::new(database.store().await);
    begin(&*store).await;
    let (mut foe, mut watcher) = (database.connect().await, database.connect().await);
    execute(&mut foe, "SET deadlock_timeout = '300s'").await;
    execute(&mut foe, "BEGIN; UPDATE lanes SET head = head WHERE lane = 2").await;
    let both = append(&["a", "b"], &[0, 2]);
    let appending = tokio::spawn({
        let (store, both) = (store.clone(), both.clone());
        async move { store.append(&both).await }
    });
    until(&mut watcher, SOMEONE_WAITS).await;
    execute(&mut foe, "UPDATE lanes SET head = head WHERE lane = 0").await;
    match appending.await.unwrap() {
        Err(AppendError::Conflict { streams }) => assert_eq!(streams, []),
        other => panic!("{other:?}"),
    }
    execute(&mut foe, "COMMIT").await;
    assert_eq!(store.lane_heads().await.unwrap(), [0, 0, 0]);
    store.append(&both).await.unwrap();
    assert_eq!(store.lane_heads().await.unwrap(), [1, 0, 1]);
}

/// A connection that is lost under an append leaves its outcome open; the next append has a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p17_a_lost_connection_leaves_the_outcome_open() {
    let database = Database::fresh().await;
    let store = Arc::new(database.store().await);
    begin(&*store).await;
    let (mut blocker, mut watcher) = (database.connect().await, database.connect().await);
    execute(&mut blocker, "BEGIN; SELECT * FROM lanes FOR UPDATE").await;
    let lost = append(&["s"], &[0]);
    let appending = tokio::spawn({
        let (store, lost) = (store.clone(), lost.clone());
        async move { store.append(&lost).await }
    });
    until(&mut watcher, SOMEONE_WAITS).await;
    let killed = "count(pg_terminate_backend(pid)) = 1 FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until(&mut watcher, killed).await;
    match appending.await.unwrap() {
        Err(AppendError::Unknown(_)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(store.outcome(lost.cause.unwrap()).await.unwrap(), None);
    execute(&mut blocker, "ROLLBACK").await;
    store.append(&lost).await.unwrap();
    assert_eq!(head(&*store, "s").await, 1);
}

/// A server that cannot be reached at all has surely not committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_without_a_connection_is_surely_not_committed() {
    let database = Database::fresh().await;
    let store = database.store().await;
    begin(&store).await;
    // The first append learns the number of lanes; its connection is cut afterwards.
    store.append(&append(&["first"], &[0])).await.unwrap();
    let mut admin = PgConnection::connect(&admin_url()).await.unwrap();
    let name = database.name();
    execute(&mut admin, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    execute(&mut admin, &cut).await;
    // What was idle is found dead: that leaves the outcome open. Then there is nothing to send on.
    match store.append(&append(&["second"], &[0])).await {
        Err(AppendError::Unknown(_)) => {}
        other => panic!("{other:?}"),
    }
    let later = append(&["third"], &[0]);
    match store.append(&later).await {
        Err(AppendError::Unavailable(_)) => {}
        other => panic!("{other:?}"),
    }
    execute(&mut admin, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    store.append(&later).await.unwrap();
    assert_eq!(database.store().await.lane_heads().await.unwrap(), [2, 0, 0]);
}

/// What the server cannot store is the data's fault: the engine looks for the culprit (P12).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_data_that_the_server_refuses_is_rejected() {
    let database = Database::fresh().await;
    let store = database.store().await;
    begin(&store).await;
    let mut bad = append(&["good", "bad"], &[0, 1]);
    bad.events[1].causation = "no text: \0".into();
    match store.append(&bad).await {
        Err(AppendError::Rejected(_)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(head(&store, "good").await, 0);
    store.append(&append(&["good"], &[0])).await.unwrap();
    assert_eq!(store.lane_heads().await.unwrap(), [1, 0, 0], "a rollback leaves no hole");
}
