//! The four services as processes on real Kafka and PostgreSQL: orders of every kind, with faults. After
//! each story a plain consumer and plain SQL must agree, event for event, and the laws must hold.

mod driver;
mod http;
mod laws;
mod processes;
mod quiet;
mod tables;
mod topics;
mod wait;

use std::time::Duration;

use anyhow::{Result, ensure};
use demo::{audit::End, script::Script};
use driver::Driver;
use nix::sys::signal::Signal;
use processes::{SERVICES, Stack};
use tokio::sync::{Mutex, MutexGuard};

/// Orders of each story.
const ORDERS: u64 = 300;
/// Orders that must have been placed before a fault comes.
const PLACED_BEFORE_FAULT: i64 = 60;
/// From the last order to the last event, on a busy machine, and with all time-outs of a dead producer.
const QUIET_LIMIT: Duration = Duration::from_secs(120);

/// One stack at a time: four processes are enough for a small machine.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

fn script(seed: u64) -> Script {
    Script { seed, sagas: ORDERS, skus: 12 }
}

/// Starts the services, fills accounts and stock.
async fn begin(seed: u64, instances: u32) -> Result<(Stack, Driver)> {
    let mut stack = Stack::prepare().await?;
    for service in SERVICES {
        for number in 1..=instances {
            stack.start(service, number)?;
        }
    }
    stack.until_ready().await?;
    let driver = Driver::new(&stack, script(seed));
    driver.prepare().await?;
    Ok((stack, driver))
}

/// Waits until all is quiet; then everything must agree.
async fn check(stack: &Stack, driver: &Driver) -> Result<()> {
    quiet::until_quiet(stack, ORDERS, QUIET_LIMIT).await?;
    let mut audit = demo::audit::Audit::default();
    let mut kinds = 0;
    for service in SERVICES {
        let stored = tables::public_events(stack, service).await?;
        let published = topics::read_all(stack, service).await?;
        topics::compare(service, &stored, &published)?;
        ensure!(!stored.is_empty(), "{service} has stated nothing");
        for event in &stored {
            audit.note(&event.recorded())?;
            kinds += u64::from(event.event_type == "ORDER_CANCELLATION_REQUESTED");
        }
    }
    ensure!(kinds > 0, "nobody asked for a cancellation");
    laws::check(&audit, &driver.books().await?)?;
    let ends = audit.ends();
    for end in [End::Concluded, End::Declined, End::OutOfStock, End::NotDeliverable] {
        ensure!(ends.contains_key(&end), "no order ended as {}: {ends:?}", end.name());
    }
    ensure!(ends.values().sum::<u64>() == ORDERS, "{ends:?}");
    Ok(())
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
    let mut stack = Stack::on_nothing()?;
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
