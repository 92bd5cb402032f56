//! Plans that do not depend on how full the tables were when they were made.

use quadrille::{
    id::Lane,
    runtime::Timestamp,
    store::{
        AgendaChange, AgendaItem, AgendaKind, AgendaQuery, AgendaState, AppendError,
        EventStore as _, HeldState, InboxEntry, StreamRead, postgres::PostgresStore,
    },
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{
    place::{Database, execute},
    work::{append, begin, ends, event, head, item, source, step, stream, take, until, whole},
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
    for kind in [AgendaKind::Deadline, AgendaKind::Effect] {
        assert_eq!(take(&small, kind, 9).await.len(), 1, "out of the way of what follows");
    }
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
    use_agenda(&store).await;
    begin(&store).await;
    assert_eq!(store.prune_causes(Timestamp(0), 100).await.unwrap(), 0);
    drop(store);
    until(&mut owner, NOBODY_ELSE).await;
    until(&mut owner, "idx_scan > 20 FROM pg_stat_user_tables WHERE relname = 'events'").await;
    let whole = sqlx::raw_sql(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables
          WHERE seq_scan > 0 AND relname IN ('events', 'positions', 'lanes', 'held', 'snapshots', 'agenda')",
    );
    let whole = whole.fetch_all(&mut owner).await.unwrap();
    let whole: Vec<(String, i64)> = whole.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(whole, [], "tables that were read whole, and how often");
}

const EVENTS: i64 = 100_000;
const NOT_THERE: u64 = 50;

/// Plans of an append that were made while there was no event, when there are many and the statistics say
/// nothing of it yet: it looks up what it asks for, and goes through nothing. So does a load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_an_append_to_many_events_and_a_load_read_no_more_than_with_none() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    drop(database.store().await);
    until(&mut owner, NOBODY_ELSE).await;
    for table in ["events", "causes", "inbox"] {
        execute(&mut owner, &format!("ALTER TABLE {table} SET (autovacuum_enabled = false)")).await;
    }
    execute(&mut owner, "VACUUM ANALYZE").await;
    let store = database.store().await;
    begin(&store).await;
    // Looks for what is not there: this is where plans are made.
    load_many(&store, 0).await;
    expect_conflict(&store, 1).await;
    append_on(&store, 0).await;
    let fill = format!(
        "INSERT INTO events (version, time, id, saga, stream, event_type, causation, payload)
         SELECT 1, 1, gen_random_uuid(), gen_random_uuid(), 'other/' || n, 'X', '', ''
           FROM generate_series(1, {EVENTS}) n;
         INSERT INTO causes (id, at) SELECT gen_random_uuid(), 1 FROM generate_series(1, {EVENTS});
         INSERT INTO inbox (at, source, id) SELECT 1, 's', n FROM generate_series(1, {EVENTS}) n"
    );
    execute(&mut owner, &fill).await;
    execute(&mut owner, "SELECT pg_stat_reset()").await;
    let rounds = 10;
    for n in 1..=rounds {
        append_on(&store, n).await;
        load_many(&store, n + 1).await;
        expect_conflict(&store, n).await;
    }
    drop(store);
    until(&mut owner, NOBODY_ELSE).await;
    let tables = "relname IN ('events', 'causes', 'inbox')";
    let touched = format!("min(idx_scan) > 0 FROM pg_stat_user_tables WHERE {tables}");
    until(&mut owner, &touched).await;
    let read = format!(
        "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE {tables})::int8
              + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE {tables})::int8"
    );
    let read: i64 = sqlx::query_scalar(AssertSqlSafe(read)).fetch_one(&mut owner).await.unwrap();
    assert!(read < i64::try_from(rounds).unwrap() * 100, "{read} entries were read");
}

/// As a batch loads: streams that are there, and many that are not.
async fn load_many(store: &PostgresStore, version: u64) {
    let absent = (0..NOT_THERE).map(|n| format!("absent {n}"));
    let names = ["a", "b", "c"].map(str::to_owned).into_iter().chain(absent);
    let read = |name: String| StreamRead { stream: stream(&name), snapshot_version: 1 };
    let reads: Vec<StreamRead> = names.map(read).collect();
    let slices = store.load(&reads).await.unwrap();
    let heads: Vec<u64> = slices.iter().map(|slice| slice.version).collect();
    assert_eq!(heads[..3], [version; 3]);
    assert!(heads[3..].iter().all(|head| *head == 0));
}

/// Three streams that go on from `version`, one more that is read, and an event from outside.
async fn append_on(store: &PostgresStore, version: u64) {
    let mut append = append(&[], &[]);
    for name in ["a", "b", "c"] {
        append.reads.push((stream(name), version));
        append.events.push(event(&stream(name), version + 1, 0));
    }
    append.reads.push((stream("never"), 0));
    append.inbox = vec![InboxEntry { source: "s".into(), id: format!("new {version}").into() }];
    store.append(&append).await.unwrap();
}

/// All that is looked up when an append fails.
async fn expect_conflict(store: &PostgresStore, version: u64) {
    let mut late = append(&[], &[]);
    late.reads.push((stream("a"), version + 7));
    late.events.push(event(&stream("a"), version + 8, 0));
    late.inbox = vec![InboxEntry { source: "s".into(), id: "never".into() }];
    let refused = store.append(&late).await;
    assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{refused:?}");
}

const PENDING: i64 = 20_000;

/// Plans that were made for an empty agenda, when that has filled up and the statistics say nothing of it yet:
/// neither a claim nor an append reads more of it than it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_a_full_agenda_costs_no_more_than_an_empty_one() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    // Making an index reads a table whole; the session that did it reports that when it ends.
    drop(database.store().await);
    until(&mut owner, NOBODY_ELSE).await;
    let alone = "ALTER TABLE agenda SET (autovacuum_enabled = false)";
    for sql in [alone, "VACUUM ANALYZE"] {
        execute(&mut owner, sql).await;
    }
    let store = database.store().await;
    begin(&store).await;
    miss_agenda(&store).await;
    use_agenda(&store).await;
    for kind in [AgendaKind::Deadline, AgendaKind::Effect] {
        fill(&mut owner, kind.name(), "other", "0").await;
        fill(&mut owner, kind.name(), kind.name(), "2000").await;
    }
    execute(&mut owner, "SELECT pg_stat_reset()").await;
    let rounds = 10;
    for _ in 0..rounds {
        use_agenda(&store).await;
    }
    drop(store);
    until(&mut owner, NOBODY_ELSE).await;
    let touched = "seq_scan = 0 AND idx_scan > 0 FROM pg_stat_user_tables WHERE relname = 'agenda'";
    until(&mut owner, touched).await;
    let read = "SELECT sum(idx_tup_read)::int8 FROM pg_stat_user_indexes WHERE relname = 'agenda'";
    let read: i64 = sqlx::query_scalar(read).fetch_one(&mut owner).await.unwrap();
    // Of the four items of a round each statement looks at some, and at what is dead of them.
    assert!(read < rounds * 500, "{read} entries of its indexes were read");
}

async fn fill(owner: &mut PgConnection, kind: &str, name: &str, due: &str) {
    let sql = format!(
        "INSERT INTO agenda (set_at, due, attempts, id, token, saga, begun, kind, state, name, key,
                             causation, reason, payload)
         SELECT 1, {due} + n, 0, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), false, '{kind}',
                'pending', '{name}', 'k', 'a test', '', ''
           FROM generate_series(1, {PENDING}) n"
    );
    execute(owner, &sql).await;
}

/// Looks for what is not there: this is where plans are made.
async fn miss_agenda(store: &PostgresStore) {
    let absent = [item(AgendaKind::Deadline, 1), item(AgendaKind::Effect, 1)];
    assert_eq!(take(store, AgendaKind::Deadline, 9).await, []);
    let mut append = ends(&[]);
    append.agenda = vec![AgendaChange::Clear(absent[0].id)];
    store.append(&append).await.unwrap();
    for change in ends(&absent).agenda {
        append = ends(&[]);
        append.agenda = vec![change];
        let refused = store.append(&append).await;
        assert!(matches!(refused, Err(AppendError::AgendaChanged { .. })), "{refused:?}");
    }
}

/// Each way to change it, each claim, and what people ask for that has an index.
async fn use_agenda(store: &PostgresStore) {
    for kind in [AgendaKind::Deadline, AgendaKind::Effect] {
        let items = [item(kind, 1), item(kind, 2)];
        let put = |item: &AgendaItem| AgendaChange::Put(Box::new(item.clone()));
        let mut append = append(&[], &[]);
        append.agenda = items.iter().map(put).collect();
        store.append(&append).await.unwrap();
        let taken = take(store, kind, 9).await;
        assert_eq!(taken.len(), 2);
        assert_eq!(take(store, kind, 9).await, []);
        store.append(&ends(&taken)).await.unwrap();
        match store.append(&ends(&taken)).await {
            Err(AppendError::AgendaChanged { ids }) => assert_eq!(ids, [taken[0].id]),
            other => panic!("{other:?}"),
        }
        let (saga, state) = (Some(taken[1].saga), Some(AgendaState::Dead));
        let of_saga = AgendaQuery { saga, state: None, limit: 9 };
        assert_eq!(store.agenda(&of_saga).await.unwrap().len(), 1);
        let dead = AgendaQuery { saga: None, state, limit: 9 };
        assert_eq!(store.agenda(&dead).await.unwrap(), []);
        let mut last = ends(&taken[..0]);
        let gone = item(kind, 3);
        last.agenda = vec![AgendaChange::Clear(taken[1].id), put(&gone)];
        store.append(&last).await.unwrap();
        last = ends(&take(store, kind, 9).await);
        store.append(&last).await.unwrap();
    }
}
