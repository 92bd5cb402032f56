//! A story from its first order to the proof that all is well.

use std::time::Duration;

use anyhow::{Result, ensure};
use demo::{
    audit::{Audit, End},
    script::Script,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    driver::Driver,
    laws,
    processes::{SERVICES, Stack},
    quiet, tables, topics,
};

/// From the last order to the last event, on a busy machine, and with all time-outs of a dead producer.
pub const QUIET_LIMIT: Duration = Duration::from_secs(120);

/// Held by whoever runs a stack: four processes are enough for a small machine.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Starts the services, fills accounts and stock.
///
/// # Errors
/// When a process does not get ready, or a request is refused.
pub async fn begin(stack: &mut Stack, script: Script, instances: u32) -> Result<Driver> {
    for service in SERVICES {
        for number in 1..=instances {
            stack.start(service, number)?;
        }
    }
    stack.until_ready().await?;
    let driver = Driver::new(stack, script);
    driver.prepare().await?;
    Ok(driver)
}

/// Waits until all is quiet; then store and log must agree event for event, the laws must hold, every
/// order of the script must have ended, and no transaction may be open.
///
/// # Errors
/// What does not agree.
pub async fn check(stack: &Stack, driver: &Driver) -> Result<()> {
    let orders = driver.orders();
    quiet::until_quiet(stack, orders, QUIET_LIMIT).await?;
    let mut audit = Audit::default();
    let mut kinds = 0;
    for service in SERVICES {
        let stored = tables::public_events(&stack.url(service)).await?;
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
    ensure!(ends.values().sum::<u64>() == orders, "{ends:?}");
    quiet::until_no_transaction_is_open(stack).await
}
