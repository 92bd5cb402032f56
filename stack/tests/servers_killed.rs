//! SIGKILL of the broker and of PostgreSQL while orders flow. Each test has servers of its own: nobody else
//! is to suffer with it.

use anyhow::{Result, ensure};
use demo::script::Script;
use stack::{
    driver::Driver,
    processes::Stack,
    quiet,
    servers::{OwnServers, Server},
    story::{self, alone, check},
};

/// Orders of each story.
const ORDERS: u64 = 300;
/// Orders that must have been placed before a fault comes, …
const PLACED_BEFORE_FAULT: u64 = 60;
/// … and those that are placed while a server is away, or as soon as it is back.
const PLACED_WITH_FAULT: u64 = 200;

async fn begin(servers: &OwnServers, seed: u64) -> Result<(Stack, Driver)> {
    let mut stack = Stack::prepare(servers.place(env!("CARGO_BIN_EXE_stack-service"))?).await?;
    let script = Script { seed, sagas: ORDERS, skus: 12 };
    let driver = story::begin(&mut stack, script, 1).await?;
    Ok((stack, driver))
}

/// Kills a server in the middle of a story; it comes back, and the story goes on to its end.
async fn kill_in_the_middle(name: &str, server: Server, seed: u64) -> Result<()> {
    let _alone = alone().await;
    let mut servers = OwnServers::start(name).await?;
    let (stack, driver) = begin(&servers, seed).await?;
    driver.place_some(0..PLACED_BEFORE_FAULT).await?;
    let order = stack.url("order");
    let placing = driver.place_some(PLACED_BEFORE_FAULT..PLACED_WITH_FAULT);
    let fault = async {
        quiet::until_placed(&stack.databases(), i64::try_from(PLACED_BEFORE_FAULT + 10)?).await?;
        let ended = quiet::ended(&order).await?;
        ensure!(ended < i64::try_from(PLACED_BEFORE_FAULT)?, "nothing was under way: {ended}");
        let killed = servers.kill(server)?;
        let has_children = server == Server::Postgres;
        ensure!((killed.children > 0) == has_children, "{killed:?}");
        servers.until_back(&killed).await
    };
    tokio::try_join!(placing, fault)?;
    driver.place_some(PLACED_WITH_FAULT..ORDERS).await?;
    check(&stack, &driver).await?;
    stack.until_ready().await?;
    stack.remove().await?;
    servers.end().await
}

#[tokio::test]
async fn the_broker_is_killed_and_comes_back() -> Result<()> {
    kill_in_the_middle("broker-killed", Server::Kafka, 21).await
}

#[tokio::test]
async fn postgres_is_killed_and_comes_back() -> Result<()> {
    kill_in_the_middle("postgres-killed", Server::Postgres, 22).await
}
