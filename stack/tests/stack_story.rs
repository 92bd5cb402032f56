//! The four services as processes on real Kafka and PostgreSQL: orders of every kind, with faults. After
//! each story a plain consumer and plain SQL must agree, event for event, and the laws must hold.

use anyhow::{Result, ensure};
use demo::script::Script;
use nix::sys::signal::Signal;
use stack::{
    driver::Driver,
    http,
    place::Place,
    processes::{SERVICES, Stack},
    quiet,
    story::{self, QUIET_LIMIT, alone, check},
    tables, wait,
};

/// Orders of each story.
const ORDERS: u64 = 300;
/// Orders that must have been placed before a fault comes.
const PLACED_BEFORE_FAULT: i64 = 60;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stack-service");

async fn begin(seed: u64, instances: u32) -> Result<(Stack, Driver)> {
    let mut stack = Stack::prepare(Place::given(PROGRAM)?).await?;
    let script = Script { seed, sagas: ORDERS, skus: 12 };
    let driver = story::begin(&mut stack, script, instances).await?;
    Ok((stack, driver))
}

#[tokio::test]
async fn every_order_ends_and_log_equals_store() -> Result<()> {
    let _alone = alone().await;
    let (mut stack, driver) = begin(1, 1).await?;
    driver.place_all().await?;
    check(&stack, &driver).await?;
    for service in SERVICES {
        stack.end_in_peace(service, 1).await?;
    }
    stack.remove().await
}

#[tokio::test]
async fn every_service_is_killed_once_and_goes_on() -> Result<()> {
    let _alone = alone().await;
    let (mut stack, driver) = begin(2, 1).await?;
    let faults = async {
        quiet::until_placed(&stack.databases(), PLACED_BEFORE_FAULT).await?;
        for service in SERVICES {
            let events = tables::count(&stack.url("order"), "events").await?;
            stack.kill(service, 1)?;
            stack.start(service, 1)?;
            quiet::until_events(&stack.url("order"), events + 20).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(driver.place_all(), faults)?;
    check(&stack, &driver).await?;
    stack.remove().await
}

#[tokio::test]
async fn two_instances_share_the_lanes_while_some_leave_and_come() -> Result<()> {
    let _alone = alone().await;
    let (mut stack, driver) = begin(3, 2).await?;
    let faults = async {
        quiet::until_placed(&stack.databases(), PLACED_BEFORE_FAULT).await?;
        stack.end_in_peace("payment", 1).await?;
        stack.kill("inventory", 2)?;
        stack.start("payment", 1)?;
        stack.start("inventory", 2)?;
        anyhow::Ok(())
    };
    tokio::try_join!(driver.place_all(), faults)?;
    check(&stack, &driver).await?;
    stack.remove().await
}

#[tokio::test]
async fn a_stopped_process_wakes_up_as_a_zombie_and_changes_nothing() -> Result<()> {
    let _alone = alone().await;
    let (mut stack, driver) = begin(4, 2).await?;
    let faults = async {
        quiet::until_placed(&stack.databases(), PLACED_BEFORE_FAULT).await?;
        // The one that publishes: it has the lease, and a transactional producer.
        let holder = tables::relay_holder(&stack.url("payment")).await?;
        let number = if holder == "payment-1" { 1 } else { 2 };
        stack.signal("payment", number, Signal::SIGSTOP)?;
        quiet::until_holder_is_not(&stack.url("payment"), &holder).await?;
        quiet::until_ended(&stack.url("order"), i64::try_from(ORDERS)?, QUIET_LIMIT).await?;
        stack.signal("payment", number, Signal::SIGCONT)
    };
    tokio::try_join!(driver.place_all(), faults)?;
    check(&stack, &driver).await?;
    stack.remove().await
}

#[tokio::test]
async fn without_servers_it_lives_says_what_it_waits_for_and_ends_in_peace() -> Result<()> {
    let _alone = alone().await;
    let mut stack = Stack::on_nothing(PROGRAM)?;
    let address = stack.start("order", 1)?;
    wait::until("life", wait::LIMIT, async || {
        Ok(http::send(address, "GET", "/livez", None).await.is_ok_and(|it| it.status == 200))
    })
    .await?;
    wait::until("a reason that names PostgreSQL", wait::LIMIT, async || {
        let answer = http::send(address, "GET", "/readyz", None).await?;
        ensure!(answer.status == 503, "ready without servers: {answer:?}");
        Ok(answer.body.contains("PostgreSQL"))
    })
    .await?;
    let answer = http::send(address, "GET", "/orders/o-1", None).await?;
    ensure!(answer.status == 503 && answer.body.contains("starting"), "{answer:?}");
    stack.end_in_peace("order", 1).await?;
    stack.remove_output()
}
