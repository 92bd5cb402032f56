//! Orders at a steady rate, whatever happens: each is asked for until it is taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

use crate::driver::Driver;

/// Customers who wait for an answer at the same time; beyond it nobody new comes.
const WAITING_MAX: usize = 2_000;

/// Orders that are being placed.
#[derive(Debug)]
pub(super) struct Load {
    placed: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
    task: JoinHandle<Placed>,
}

/// Orders that were taken, and what went wrong with others.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) orders: u64,
    pub(super) troubles: Vec<String>,
}

impl Load {
    pub(super) fn start(driver: Driver, rate: u32) -> Self {
        let (placed, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(place(driver, rate, placed.clone(), enough.clone()));
        Self { placed, enough, task }
    }

    /// How many were taken so far.
    pub(super) fn placed(&self) -> u64 {
        self.placed.load(Ordering::Relaxed)
    }

    /// Nobody new comes; ends when every customer has an answer.
    pub(super) async fn finish(self) -> Placed {
        self.enough.store(true, Ordering::Relaxed);
        let failed = |error: tokio::task::JoinError| Placed {
            orders: 0,
            troubles: vec![format!("the load: {error}")],
        };
        self.task.await.unwrap_or_else(failed)
    }
}

async fn place(
    driver: Driver,
    rate: u32,
    placed: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
) -> Placed {
    let orders = driver.orders();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut customers = JoinSet::new();
    let mut ended = Placed::default();
    let mut next = 0;
    while next < orders && !enough.load(Ordering::Relaxed) {
        ticks.tick().await;
        while let Some(customer) = customers.try_join_next() {
            note(&mut ended, customer);
        }
        if customers.len() < WAITING_MAX {
            let (driver, placed, number) = (driver.clone(), placed.clone(), next);
            next += 1;
            customers.spawn(async move {
                driver.place_one(number).await?;
                placed.fetch_add(1, Ordering::Relaxed);
                anyhow::Ok(())
            });
        }
    }
    while let Some(customer) = customers.join_next().await {
        note(&mut ended, customer);
    }
    ended
}

fn note(ended: &mut Placed, customer: Result<anyhow::Result<()>, tokio::task::JoinError>) {
    match customer {
        Ok(Ok(())) => ended.orders += 1,
        Ok(Err(error)) => ended.troubles.push(format!("an order was not taken: {error:#}")),
        Err(error) => ended.troubles.push(format!("a customer: {error}")),
    }
}
