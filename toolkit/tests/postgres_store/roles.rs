//! What a service's role may do, and what it may not.

use quadrille::{
    id::Lane,
    runtime::Timestamp,
    store::{
        Action, AgendaChange, AgendaItem, AgendaKind, AgendaQuery, AgendaState, Append, EventStore,
        Floor, HeldChange, HeldMessage, HeldState, Letter, NewRuling, Ruled, RulingQuery,
        StoreError, postgres::PostgresStore,
    },
};
use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{Migration, MigrationType},
};
use std::time::Duration;

use super::{
    place::{Database, admin_url, execute},
    work::{append, begin, ends, head, item, message, source, step, take, whole},
};

/// A role of its own; it belongs to the server, not to a database.
async fn make_role(database: &Database) -> String {
    let role = format!("{}_service", database.name());
    let mut admin = PgConnection::connect(&admin_url()).await.unwrap();
    execute(&mut admin, &format!("DROP ROLE IF EXISTS {role}")).await;
    execute(&mut admin, &format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")).await;
    role
}

async fn drop_role(database: Database, role: &str) {
    drop(database);
    let mut admin = PgConnection::connect(&admin_url()).await.unwrap();
    execute(&mut admin, &format!("DROP ROLE {role}")).await;
}

/// With its own grants a service does all that it must, and neither changes nor removes an event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_adds_events_and_changes_none() {
    let database = Database::fresh().await;
    let role = make_role(&database).await;
    PostgresStore::migrate(&database.url()).await.unwrap();
    PostgresStore::grant_service_role(&database.url(), &role).await.unwrap();
    let service_url = database.url_as(Some(&role));
    {
        let store = PostgresStore::connect(&service_url).await.unwrap();
        use_everything(&store).await;
    }
    let mut service = PgConnection::connect(&service_url).await.unwrap();
    for forbidden in [
        "UPDATE events SET payload = ''",
        "UPDATE events SET lane_seq = lane_seq + 1",
        "DELETE FROM events",
        "TRUNCATE events",
        "DROP TABLE events",
        "ALTER TABLE events ADD COLUMN more text",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "CREATE TABLE mine (x int)",
        "DELETE FROM lanes",
        "UPDATE rulings SET who = 'nobody'",
        "DELETE FROM rulings",
        "DELETE FROM positions",
        "INSERT INTO schema_migrations (version, name, checksum) VALUES (99, '', '')",
    ] {
        let refused = sqlx::raw_sql(forbidden).execute(&mut service).await;
        let refused = refused.expect_err(forbidden);
        let code = refused.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
    let store = database.store().await;
    assert_eq!(head(&store, "whole").await, 1, "it is still there");
    drop((store, service));
    drop_role(database, &role).await;
}

async fn use_everything(store: &PostgresStore) {
    let epoch = begin(store).await;
    let whole = whole(epoch);
    let appended = store.append(&whole).await.unwrap();
    assert_eq!(appended.first_in_lane, [(Lane(1), 1)]);
    assert_eq!(store.outcome(whole.cause.unwrap()).await.unwrap(), Some(appended));
    assert_eq!(store.answer(whole.answers[0].cause).await.unwrap().unwrap(), "yes");
    assert_eq!(store.gaps(9).await.unwrap(), whole.gaps);
    let floor = Floor { lane: Lane(1), lane_seq: 1, end_offset: 2, topic_id: "t".into() };
    store.set_floor(&floor).await.unwrap();
    assert_eq!(store.floor(Lane(1)).await.unwrap(), Some(floor));
    assert!(store.lease("l", "a", Duration::from_secs(9)).await.unwrap().is_some());
    store.release("l", "a").await.unwrap();
    let change = store.close_shards().await.unwrap();
    assert!(store.open_shards(change.number, 2).await.unwrap());
    for kind in [AgendaKind::Deadline, AgendaKind::Effect] {
        let more = AgendaChange::Put(Box::new(item(kind, 2)));
        store.append(&Append { agenda: vec![more], ..Append::default() }).await.unwrap();
        let items = take(store, kind, 9).await;
        assert_eq!(items.len(), 2);
        store.append(&ends(&items)).await.unwrap();
        let agenda = vec![AgendaChange::Clear(items[1].id)];
        store.append(&Append { agenda, ..Append::default() }).await.unwrap();
    }
    rule_on_letters(store, epoch).await;
    let all = AgendaQuery { limit: 9, ..AgendaQuery::default() };
    assert_eq!(store.agenda(&all).await.unwrap(), []);
    assert_eq!(store.prune_causes(Timestamp(i64::MAX), 100).await.unwrap(), 4);
    assert_eq!(store.prune_inbox(Timestamp(i64::MAX), 100).await.unwrap(), 0);
    assert_eq!(store.read_lane(Lane(1), 0, 9).await.unwrap().len(), 1);
}

/// A role that was granted its rights before there was an agenda has them on that, too, when the owner has
/// brought the tables up to date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_keeps_its_rights_when_the_tables_grow() {
    let database = Database::fresh().await;
    let role = make_role(&database).await;
    let mut owner = database.connect().await;
    let record = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, name text NOT NULL, \
                  checksum bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";
    execute(&mut owner, record).await;
    for (version, sql) in (1..).zip(BEFORE_AGENDA) {
        execute(&mut owner, sql).await;
        let kind = MigrationType::Simple;
        let migration = Migration::new(version, "old".into(), kind, sql.into_sql_str(), false);
        sqlx::query(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, 'old', $2)",
        )
        .bind(version)
        .bind(&*migration.checksum)
        .execute(&mut owner)
        .await
        .unwrap();
    }
    execute(&mut owner, &format!("SELECT grant_service_role('{role}')")).await;
    PostgresStore::migrate(&database.url()).await.unwrap();
    let store = PostgresStore::connect(&database.url_as(Some(&role))).await.unwrap();
    use_everything(&store).await;
    drop(store);
    drop(owner);
    drop_role(database, &role).await;
}

const BEFORE_AGENDA: [&str; 3] = [
    include_str!("../../migrations/postgres/0001_event_store.sql"),
    include_str!("../../migrations/postgres/0002_append.sql"),
    include_str!("../../migrations/postgres/0003_claim.sql"),
];

async fn rule_on_letters(store: &PostgresStore, epoch: u64) {
    let dead = AgendaItem { state: AgendaState::Dead, ..item(AgendaKind::Effect, 3) };
    let held = HeldMessage { id: "dead".into(), ..message(HeldState::Dead) };
    let (saga, id) = (dead.saga, dead.id);
    let letters = [Letter::Item(Box::new(dead.clone())), Letter::Message(Box::new(held.clone()))];
    let append = Append {
        positions: vec![step(epoch, 1, 1)],
        held: vec![HeldChange::Hold(Box::new(held))],
        agenda: vec![AgendaChange::Put(Box::new(dead))],
        ..Append::default()
    };
    store.append(&append).await.unwrap();
    for (letter, action) in letters.iter().flat_map(|l| [(l, Action::Replay), (l, Action::Skip)]) {
        let new = NewRuling {
            letter: letter.id(),
            attempts: letter.attempts(),
            action: action.clone(),
            who: "ada".into(),
            note: "why".into(),
            at: Timestamp(9),
        };
        let ruled = store.rule(&new).await.unwrap();
        // Replayed, it is not dead any more.
        match action {
            Action::Replay => assert!(matches!(ruled, Ruled::Done(_)), "{ruled:?}"),
            _ => assert!(matches!(ruled, Ruled::Unfit(_)), "{ruled:?}"),
        }
        assert!(store.letter(&letter.id()).await.unwrap().is_some());
    }
    let query = RulingQuery { limit: 9, ..RulingQuery::default() };
    assert_eq!(store.rulings(&query).await.unwrap().len(), 2);
    let release = HeldChange::Release { source: source(), id: "dead".into(), attempts: 1 };
    let gone = Append {
        positions: vec![step(epoch, 1, 1)],
        held: vec![release],
        agenda: vec![AgendaChange::Clear(id)],
        ..Append::default()
    };
    store.append(&gone).await.unwrap();
    assert_eq!(store.saga_events(saga, 9).await.unwrap(), []);
    assert_eq!(store.held_of_saga(saga, 9).await.unwrap(), []);
}

/// A role that may not make the tables is told who may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_tables_are_named_to_a_role_that_may_not_make_them() {
    let database = Database::fresh().await;
    let role = make_role(&database).await;
    match PostgresStore::connect(&database.url_as(Some(&role))).await {
        Err(StoreError::Mismatch(why)) => assert!(why.contains("PostgresStore::migrate"), "{why}"),
        other => panic!("{other:?}"),
    }
    PostgresStore::migrate(&database.url()).await.unwrap();
    // The tables are there, but nobody has granted anything.
    match PostgresStore::connect(&database.url_as(Some(&role))).await {
        Err(StoreError::Unavailable(why)) => {
            assert!(why.to_string().contains("permission"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    drop_role(database, &role).await;
}

/// Tables, functions and types are found by the search path that the address names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_a_database_by_schemas() {
    let database = Database::fresh().await;
    let mut owner = database.connect().await;
    execute(&mut owner, "CREATE SCHEMA one; CREATE SCHEMA two").await;
    let url = database.url();
    let separator = if url.ends_with('?') { "" } else { "&" };
    let store_in = |schema| {
        let url = format!("{url}{separator}options[search_path]={schema}");
        async move { PostgresStore::connect(&url).await.unwrap() }
    };
    let (one, two) = (store_in("one").await, store_in("two").await);
    begin(&one).await;
    begin(&two).await;
    one.append(&append(&["s"], &[0])).await.unwrap();
    assert_eq!((head(&one, "s").await, head(&two, "s").await), (1, 0));
    two.append(&append(&["s"], &[0])).await.unwrap();
    assert_eq!(head(&two, "s").await, 1);
}
