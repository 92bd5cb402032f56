//! Plans that do not depend on how full the tables were when they were made.

use quadrille::{
    id::Lane,
    runtime::Timestamp,
    store::{EventStore as _, HeldState},
};
use sqlx::Row as _;

use super::{
    place::{Database, execute},
    work::{append, begin, event, head, source, step, stream, until, whole},
};

const NOBODY_ELSE: &str = "count(*) = 0 FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'quadrille'";

/// Generic plans are made while the tables are all but empty, where reading them whole looks cheap; no
/// table is read whole, then or later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_of_the_hot_path_reads_a_table_whole() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    let small = database.store().await;
    let epoch = begin(&small).await;
    small.append(&whole(epoch)).await.unwrap();
    drop(small);
    until(&mut owner, NOBODY_ELSE).await;
    // Now the server knows for sure how small the tables are. Sessions report what they did when they
    // end; making an index reads a table whole, too.
    for sql in ["VACUUM ANALYZE", "SELECT pg_stat_reset()"] {
        execute(&mut owner, sql).await;
    }
    let store = database.store().await;
    let epoch = begin(&store).await;
    for n in 0..20_u64 {
        let name = format!("s{n}");
        let mut append = append(&[name.as_str()], &[0]);
        append.reads.push((stream("never"), 0));
        append.positions.push(step(epoch, n + 1, n + 2));
        if n > 0 {
            append.reads.push((stream("long"), n - 1));
            append.events.push(event(&stream("long"), n, 1));
        }
        store.append(&append).await.unwrap();
        assert_eq!(head(&store, &name).await, 1);
        assert_eq!(store.read_lane(Lane(0), n, 10).await.unwrap().len(), 1);
        store.lane_heads().await.unwrap();
        store.held(&source(), "k", 10).await.unwrap();
        store.held_in(HeldState::Dead, 10).await.unwrap();
        store.outcome(append.cause.unwrap()).await.unwrap();
    }
    begin(&store).await;
    assert_eq!(store.prune_causes(Timestamp(0), 100).await.unwrap(), 0);
    drop(store);
    until(&mut owner, NOBODY_ELSE).await;
    until(&mut owner, "idx_scan > 20 FROM pg_stat_user_tables WHERE relname = 'events'").await;
    let whole = sqlx::raw_sql(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables
          WHERE seq_scan > 0 AND relname IN ('events', 'positions', 'lanes', 'held', 'snapshots')",
    );
    let whole = whole.fetch_all(&mut owner).await.unwrap();
    let whole: Vec<(String, i64)> = whole.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(whole, [], "tables that were read whole, and how often");
}
