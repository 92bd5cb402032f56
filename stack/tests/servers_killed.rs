//! SIGKILL of the broker and of PostgreSQL while orders flow. Each test has servers of its own: nobody else
//! is to suffer with it.

use anyhow::{Result, ensure};
use demo::script::Script;
use stack::{
    driver::Driver,
    processes::Stack,
    proxy::{Proxy, wire},
    quiet,
    servers::{OwnServers, Server},
    story::{self, alone, check},
    topics, wait,
};

/// Orders of each story: those that are placed before the fault, …
const BEFORE: u64 = 60;
/// … those on the way when the server is killed, …
const FLOWING: u64 = 180;
/// … those that are placed while it is away, …
const AWAY: u64 = 240;
/// … and those when it is back.
const ORDERS: u64 = 300;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stack-service");

async fn begin(stack: &mut Stack, seed: u64) -> Result<Driver> {
    story::begin(stack, Script { seed, sagas: ORDERS, skus: 12 }, 1).await
}

/// Kills a server now, places orders while it is away, and waits until it is back.
async fn kill_and_come_back(
    servers: &mut OwnServers,
    server: Server,
    stack: &Stack,
    driver: &Driver,
) -> Result<()> {
    let ended = quiet::ended(&stack.url("order")).await?;
    ensure!(ended < i64::try_from(FLOWING)?, "nothing was under way");
    let killed = servers.kill(server)?;
    let has_children = server == Server::Postgres;
    ensure!((killed.children > 0) == has_children, "{killed:?}");
    tokio::try_join!(driver.place_some(FLOWING..AWAY), servers.until_back(&killed))?;
    Ok(())
}

/// The rest of a story, and its end.
async fn finish(servers: OwnServers, stack: Stack, driver: &Driver) -> Result<()> {
    driver.place_some(AWAY..ORDERS).await?;
    check(&stack, driver).await?;
    stack.until_ready().await?;
    stack.remove().await?;
    servers.end().await
}

#[tokio::test]
async fn the_broker_is_killed_with_a_transaction_open_and_comes_back() -> Result<()> {
    let _alone = alone().await;
    let mut servers = OwnServers::start("broker-killed").await?;
    let mut stack = Stack::prepare(servers.place(PROGRAM)?).await?;
    let proxy = Proxy::before(&stack.kafka).await?;
    stack.reach_kafka_by("inventory", &proxy.address);
    let driver = begin(&mut stack, 21).await?;
    driver.place_some(0..BEFORE).await?;
    let fault = async {
        proxy.hold(&[wire::END_TXN]);
        wait::until("a commit to be held", wait::LIMIT, async || Ok(proxy.held() > 0)).await?;
        let open = topics::open_transactions(&stack).await?;
        let topic = stack.topic("inventory");
        ensure!(open.iter().any(|it| it.topic == topic), "no transaction is open: {open:?}");
        let there_and_back = kill_and_come_back(&mut servers, Server::Kafka, &stack, &driver);
        let lost = async {
            // The dead broker never hears of the commit, nor does its successor.
            wait::until("the end of connections", wait::LIMIT, async || Ok(proxy.held() == 0))
                .await?;
            proxy.release();
            anyhow::Ok(())
        };
        tokio::try_join!(there_and_back, lost)?;
        anyhow::Ok(())
    };
    tokio::try_join!(driver.place_some(BEFORE..FLOWING), fault)?;
    finish(servers, stack, &driver).await
}

#[tokio::test]
async fn postgres_is_killed_and_comes_back() -> Result<()> {
    let _alone = alone().await;
    let mut servers = OwnServers::start("postgres-killed").await?;
    let mut stack = Stack::prepare(servers.place(PROGRAM)?).await?;
    let driver = begin(&mut stack, 22).await?;
    driver.place_some(0..BEFORE).await?;
    let fault = async {
        quiet::until_placed(&stack.databases(), i64::try_from(BEFORE + 10)?).await?;
        kill_and_come_back(&mut servers, Server::Postgres, &stack, &driver).await
    };
    tokio::try_join!(driver.place_some(BEFORE..FLOWING), fault)?;
    finish(servers, stack, &driver).await
}
