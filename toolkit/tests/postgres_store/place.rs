//! A database for each test, on the server that the environment names.

use std::io::Write as _;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use quadrille::{
    store::{EventStore, postgres::PostgresStore},
    testing::store_conformance::StorePlace,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

const VARIABLE: &str = "QUADRILLE_TEST_POSTGRES";

/// The address of an administrator, for example `postgres://postgres@127.0.0.1:5432/postgres`.
pub(crate) fn admin_url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: `cargo xtask test` provides a server and sets it")
    })
}

/// A database of its own, removed in the end.
pub(crate) struct Database {
    name: String,
}

impl Database {
    pub(crate) async fn fresh() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quadrille_test_{}_{n}", std::process::id());
        let mut admin = PgConnection::connect(&admin_url()).await.expect("a PostgreSQL server");
        announce(&mut admin).await;
        execute(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(&mut admin, &format!("CREATE DATABASE {name}")).await;
        Self { name }
    }

    /// The address of its owner.
    pub(crate) fn url(&self) -> String {
        self.url_as(None)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address with another role (and its password, the same as its name).
    pub(crate) fn url_as(&self, role: Option<&str>) -> String {
        let admin = admin_url();
        let (address, query) = admin.split_once('?').unwrap_or((&admin, ""));
        let (scheme, rest) = address.split_once("://").expect("an address");
        let (place, _) = rest.split_once('/').expect("an address with a database");
        let place = match role {
            Some(role) => {
                format!("{role}:{role}@{}", place.rsplit_once('@').map_or(place, |(_, host)| host))
            }
            None => place.to_owned(),
        };
        format!("{scheme}://{place}/{}?{query}", self.name)
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).await.unwrap()
    }

    /// A plain connection, as a person's.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

async fn announce(admin: &mut PgConnection) {
    static ONCE: OnceLock<()> = OnceLock::new();
    let version = sqlx::query("SELECT version()").fetch_one(admin).await.unwrap();
    let version: String = version.try_get(0).unwrap();
    // Straight to the stream: the test harness swallows what is printed.
    ONCE.get_or_init(|| {
        let _ = writeln!(std::io::stderr(), "PostgreSQL store: on {version}");
    });
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    let result = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.name.clone();
        // Another thread, because this one may be inside a runtime.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                if let Ok(mut admin) = PgConnection::connect(&admin_url()).await {
                    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    let _ = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

#[async_trait]
impl StorePlace for Database {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(self.store().await)
    }
}
