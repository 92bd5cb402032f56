//! How long a batch takes in the SQLite store, beside a bare insert of the same rows. For people:
//! `cargo test --release -p quadrille --features testing,sqlite --test store_timing -- --ignored --nocapture`
#![cfg(all(feature = "testing", feature = "sqlite"))]
#![allow(clippy::print_stdout)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use quadrille::{
    id::{CauseId, EventId, Lane, SagaId, SourceLane, StreamId},
    runtime::{Runtime, Timestamp},
    store::{
        Append, Claim, Claimed, EventStore, NewEvent, PositionMove, Registration, Route, StartAt,
        StreamRead, sqlite::SqliteStore,
    },
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

const BATCHES: usize = 120;
/// Left out of the figures: the caches are cold, the files are short.
const WARM_UP: usize = 20;
const MESSAGES: usize = 500;
const ACCOUNTS: usize = 200;
const LANES: u32 = 6;

struct Dir(PathBuf);

impl Dir {
    fn fresh(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("quadrille-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Heads of the accounts, which all batches share; and the appends made so far.
struct Load {
    runtime: Runtime,
    accounts: Vec<u64>,
    epochs: Vec<u64>,
    batch: u64,
}

impl Load {
    fn event(&self, stream: &StreamId, version: u64, lane: Option<u32>) -> NewEvent {
        let bytes = if lane.is_some() { 400 } else { 80 };
        NewEvent {
            id: EventId(self.runtime.new_uuid()),
            stream: stream.clone(),
            version,
            event_type: "BILLED_ORDER".into(),
            payload: vec![b'x'; bytes].into(),
            saga: SagaId(self.runtime.new_uuid()),
            causation: self.runtime.new_uuid().to_string(),
            time: Timestamp(1),
            trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            route: lane.map(|lane| Route {
                lane: Lane(lane),
                key: self.runtime.new_uuid().to_string().into(),
            }),
        }
    }

    /// Each message writes to a stream of its own, which is new, and to an account.
    fn append(&mut self) -> Append {
        let mut append = Append {
            cause: Some(CauseId(self.runtime.new_uuid())),
            at: Timestamp(1),
            ..Append::default()
        };
        let account = |n: usize| StreamId::new("account", &n).unwrap();
        let heads = self.accounts.iter().enumerate();
        append.reads = heads.map(|(n, head)| (account(n), *head)).collect();
        for message in 0..MESSAGES {
            let own = StreamId::new("participation", &self.runtime.new_uuid()).unwrap();
            let lane = u32::try_from(message).unwrap() % LANES;
            append.events.push(self.event(&own, 1, Some(lane)));
            let n = message % ACCOUNTS;
            self.accounts[n] += 1;
            append.events.push(self.event(&account(n), self.accounts[n], None));
            append.reads.push((own, 0));
        }
        let (from, to) = (self.batch, self.batch + 1);
        append.positions = (0..LANES)
            .zip(&self.epochs)
            .map(|(lane, epoch)| PositionMove {
                source: SourceLane::new("demo.order.events", Lane(lane)),
                epoch: *epoch,
                from,
                to,
                last_id: Some(EventId(self.runtime.new_uuid())),
                next_offset: 1,
            })
            .collect();
        self.batch += 1;
        append
    }

    fn fresh_reads(&self) -> Vec<StreamRead> {
        let new = || StreamId::new("participation", &self.runtime.new_uuid()).unwrap();
        (0..MESSAGES).map(|_| StreamRead { stream: new(), snapshot_version: 1 }).collect()
    }
}

async fn register(store: &SqliteStore) -> Load {
    let registration = Registration { service: "payment".into(), lanes: LANES, shards: 1 };
    store.register(&registration).await.unwrap();
    let lanes = (0..LANES).map(|n| SourceLane::new("demo.order.events", Lane(n))).collect();
    let claim = Claim { lanes, consumes: vec![], start: StartAt::First, held_max: 10 };
    let epoch = |claimed: Claimed| match claimed {
        Claimed::Owned { epoch, .. } => epoch,
        Claimed::Refused { .. } => unreachable!("nothing was consumed before"),
    };
    let epochs = store.claim(&claim).await.unwrap().into_iter().map(epoch).collect();
    Load { runtime: Runtime::tokio_seeded(1), accounts: vec![0; ACCOUNTS], epochs, batch: 0 }
}

/// The median, and the fastest tenth, which a busy machine disturbs less.
fn figures(mut times: Vec<Duration>) -> String {
    times.drain(..WARM_UP);
    times.sort();
    format!("median {:.2?}, tenth {:.2?}", times[times.len() / 2], times[times.len() / 10])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a timing, for people"]
async fn store_beside_a_bare_insert() {
    let dir = Dir::fresh("timing");
    let store = SqliteStore::open(dir.0.join("store.db")).await.unwrap();
    let mut load = register(&store).await;
    let (mut appends, mut news, mut olds, mut bares) = (vec![], vec![], vec![], vec![]);
    let mut bare = bare(&dir.0.join("bare.db")).await;
    for _ in 0..BATCHES {
        let reads = load.fresh_reads();
        let since = Instant::now();
        store.load(&reads).await.unwrap();
        news.push(since.elapsed());

        let append = load.append();
        let since = Instant::now();
        store.append(&append).await.unwrap();
        appends.push(since.elapsed());

        let since = Instant::now();
        insert(&mut bare, &append.events).await;
        bares.push(since.elapsed());

        let written = append.reads[ACCOUNTS..].iter();
        let read = |(s, _): &(StreamId, u64)| StreamRead { stream: s.clone(), snapshot_version: 1 };
        let reads: Vec<_> = written.map(read).collect();
        let since = Instant::now();
        assert!(store.load(&reads).await.unwrap().iter().all(|slice| slice.version == 1));
        olds.push(since.elapsed());
    }
    println!("append of {MESSAGES} messages, {} events: {}", MESSAGES * 2, figures(appends));
    println!("bare insert of the same rows:        {}", figures(bares));
    println!("load of {MESSAGES} new streams:          {}", figures(news));
    println!("load of {MESSAGES} streams of one event: {}", figures(olds));
}

async fn bare(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-16384");
    let mut connection = options.connect().await.unwrap();
    let sql = include_str!("../migrations/sqlite/0001_event_store.sql");
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection
}

/// Events only, fifty rows a statement, without a check.
async fn insert(connection: &mut SqliteConnection, events: &[NewEvent]) {
    const ROWS: usize = 50;
    let head = "INSERT INTO events (stream, version, id, event_type, payload, saga, causation, time, \
                trace, lane, lane_seq, key) VALUES ";
    let sql = format!("{head}{}", vec!["(?,?,?,?,?,?,?,?,?,?,?,?)"; ROWS].join(","));
    connection.execute("BEGIN IMMEDIATE").await.unwrap();
    for chunk in events.chunks_exact(ROWS) {
        let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
        for event in chunk {
            query = query
                .bind(event.stream.as_str())
                .bind(i64::try_from(event.version).unwrap())
                .bind(&event.id.0.as_bytes()[..])
                .bind(&*event.event_type)
                .bind(&*event.payload)
                .bind(&event.saga.0.as_bytes()[..])
                .bind(event.causation.as_str())
                .bind(event.time.0)
                .bind(event.trace.as_deref())
                .bind(event.route.as_ref().map(|route| route.lane.0))
                .bind(event.route.as_ref().map(|_| next()))
                .bind(event.route.as_ref().map(|route| &*route.key));
        }
        query.execute(&mut *connection).await.unwrap();
    }
    connection.execute("COMMIT").await.unwrap();
}

fn next() -> i64 {
    static NEXT: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
