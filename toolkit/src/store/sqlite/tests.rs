//! What is SQLite's own; the rest is in the conformance suite.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use sqlx::{Connection as _, Executor as _, sqlite::SqliteConnection};

use super::SqliteStore;
use crate::{
    store::{AppendError, EventStore, StoreError},
    testing::store_conformance::fixtures::{append_to, assert_fails, head, registration, stream},
};

/// A directory of its own, removed in the end.
struct Dir(PathBuf);

impl Dir {
    fn fresh(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("quadrille-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn raw(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

async fn mismatch(path: &Path) -> String {
    match SqliteStore::open(path).await {
        Err(StoreError::Mismatch(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// What is answered is on the disk, not in a cache that a power cut empties.
#[tokio::test]
async fn p15_commits_are_flushed_before_they_are_answered() {
    let dir = Dir::fresh("p15");
    let store = SqliteStore::open(dir.file()).await.unwrap();
    let mut lent = store.writer.lend().await.unwrap();
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(lent.connection()).await.unwrap();
    assert_eq!(synchronous, 2, "FULL");
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(lent.connection()).await.unwrap();
    assert_eq!(journal, "wal");
}

/// An older program must not write into tables that it does not know.
#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let dir = Dir::fresh("newer");
    drop(SqliteStore::open(dir.file()).await.unwrap());
    let mut other = raw(&dir.file()).await;
    let newer = "INSERT INTO quadrille_migrations VALUES (99, 'to come', x'00', 0)";
    other.execute(newer).await.unwrap();
    let why = mismatch(&dir.file()).await;
    assert!(why.contains("newer version") && why.contains("99"), "{why}");
    other.execute("DELETE FROM quadrille_migrations WHERE version = 99").await.unwrap();
    SqliteStore::open(dir.file()).await.unwrap();
    other.execute("UPDATE quadrille_migrations SET checksum = x'00'").await.unwrap();
    let why = mismatch(&dir.file()).await;
    assert!(why.contains("migration 1"), "{why}");
}

/// Files of others are left alone.
#[tokio::test]
async fn a_file_of_another_program_is_refused() {
    let dir = Dir::fresh("foreign");
    raw(&dir.file()).await.execute("CREATE TABLE theirs (a)").await.unwrap();
    assert!(mismatch(&dir.file()).await.contains("another program"));
    let text = dir.0.join("text.db");
    std::fs::write(&text, "no database at all, but long enough to be read as one. ".repeat(100))
        .unwrap();
    match SqliteStore::open(&text).await {
        Err(StoreError::Corrupt(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(SqliteStore::open(&dir.0).await, Err(StoreError::Unavailable(_))));
}

/// Several processes may start at once on a file that is not there yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_store_at_once() {
    let dir = Dir::fresh("open");
    for round in 0..5 {
        let path = dir.0.join(format!("{round}.db"));
        let opening: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move {
                    let store = SqliteStore::open(path).await.unwrap();
                    store.register(&registration()).await.unwrap();
                })
            })
            .collect();
        for opened in opening {
            opened.await.unwrap();
        }
    }
}

/// Whoever cannot have the write lock is told so, and nothing was written.
#[tokio::test]
async fn a_busy_store_is_unavailable() {
    let dir = Dir::fresh("busy");
    let store = SqliteStore::open_with(&dir.file(), Duration::from_millis(20)).await.unwrap();
    store.register(&registration()).await.unwrap();
    let mut other = raw(&dir.file()).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let s = stream("s");
    assert_fails!(store.append(&append_to(&s, 0)).await, AppendError::Unavailable(_));
    assert_eq!(head(&store, &s).await, 0, "readers do not wait");
    other.execute("ROLLBACK").await.unwrap();
    store.append(&append_to(&s, 0)).await.unwrap();
}

/// The outcome of an append that was dropped is final, even while its commit is under way in the
/// thread of the connection (P17).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p17_the_outcome_of_a_dropped_append_is_final() {
    let dir = Dir::fresh("p17");
    let store = SqliteStore::open(dir.file()).await.unwrap();
    store.register(&registration()).await.unwrap();
    let mut committed = 0;
    for round in 0..200 {
        let s = stream(&format!("s{round}"));
        let dropped = append_to(&s, 0);
        {
            let mut future = pin!(store.append(&dropped));
            for _ in 0..round % 40 {
                if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
        }
        let outcome = store.outcome(dropped.cause.unwrap()).await.unwrap();
        let expected = u64::from(outcome.is_some());
        committed += expected;
        assert_eq!(head(&store, &s).await, expected, "round {round}");
        store.append(&append_to(&stream(&format!("next{round}")), 0)).await.unwrap();
        assert_eq!(head(&store, &s).await, expected, "round {round}, later");
    }
    assert!((1..200).contains(&committed), "both ends occurred: {committed}");
}
