//! Faults at chosen moments: between append and publish, in mid-transaction, a store restored to an earlier
//! state, an instance that never comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use demo::script::Script;
use serde_json::json;
use stack::{
    driver::Driver,
    http,
    place::Place,
    processes::{SERVICES, Stack},
    proxy::{Proxy, wire},
    quiet,
    restore::Aside,
    story::{self, alone, check},
    tables, topics, wait,
};

/// Orders of each story.
const ORDERS: u64 = 200;
/// Orders that are placed before the fault, …
const BEFORE: u64 = 60;
/// … and with it.
const WITH: u64 = 130;
/// A relay's lease, and for how long a silent member keeps its lanes.
const LEASE: Duration = Duration::from_secs(10);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(15);

/// The stack, and a way of one service to the broker that is ours.
async fn begin(
    seed: u64,
    instances: u32,
    by_proxy: &'static str,
) -> Result<(Stack, Driver, Proxy)> {
    let place = Place::given(env!("CARGO_BIN_EXE_stack-service"))?;
    let proxy = Proxy::before(&place.kafka).await?;
    let mut stack = Stack::prepare(place).await?;
    stack.reach_kafka_by(by_proxy, &proxy.address);
    let script = Script { seed, sagas: ORDERS, skus: 12 };
    let driver = story::begin(&mut stack, script, instances).await?;
    Ok((stack, driver, proxy))
}

async fn until_held(proxy: &Proxy) -> Result<()> {
    wait::until("a request to be held back", wait::LIMIT, async || Ok(proxy.held() > 0)).await
}

#[tokio::test]
async fn a_service_killed_between_append_and_publish_publishes_once() -> Result<()> {
    let _alone = alone().await;
    let (mut stack, driver, proxy) = begin(31, 1, "order").await?;
    driver.place_some(0..BEFORE).await?;
    // From here on the relay cannot even begin a transaction; appends go on.
    proxy.hold(&[wire::ADD_PARTITIONS_TO_TXN, wire::PRODUCE]);
    driver.place_some(BEFORE..WITH).await?;
    until_held(&proxy).await?;
    let stored = tables::count_public(&stack.url("order")).await?;
    let published = i64::try_from(topics::read_all(&stack, "order").await?.len())?;
    let least = i64::try_from(WITH - BEFORE)?;
    ensure!(stored - published >= least, "{stored} in the store, {published} in the log");
    stack.kill("order", 1)?;
    proxy.cut();
    proxy.release();
    let left = i64::try_from(topics::read_all(&stack, "order").await?.len())?;
    ensure!(left == published, "published by a dead process: {left} instead of {published}");
    stack.start("order", 1)?;
    driver.place_some(WITH..ORDERS).await?;
    check(&stack, &driver).await?;
    stack.remove().await
}

#[tokio::test]
async fn a_relay_killed_in_mid_transaction_leaves_nothing_behind() -> Result<()> {
    let _alone = alone().await;
    let (mut stack, driver, proxy) = begin(32, 1, "payment").await?;
    driver.place_some(0..BEFORE).await?;
    proxy.hold(&[wire::END_TXN]);
    driver.place_some(BEFORE..WITH).await?;
    until_held(&proxy).await?;
    let open = topics::open_transactions(&stack).await?;
    let topic = stack.topic("payment");
    ensure!(open.iter().any(|it| it.topic == topic), "no transaction is open: {open:?}");
    stack.kill("payment", 1)?;
    stack.start("payment", 1)?;
    // Its successor has its own epoch by now, and its first commit waits as well.
    wait::until("the successor's commit", wait::LIMIT, async || Ok(proxy.held() > 1)).await?;
    // The dead process's commit reaches the broker late, in the midst of the successor's transactions.
    proxy.release();
    driver.place_some(WITH..ORDERS).await?;
    check(&stack, &driver).await?;
    ensure_aborted(&stack, "payment").await?;
    stack.remove().await
}

/// The fault has really hit: there are records that were never committed.
async fn ensure_aborted(stack: &Stack, service: &str) -> Result<()> {
    let committed = topics::read_all(stack, service).await?.len();
    let all = topics::read_uncommitted(stack, service).await?.len();
    ensure!(all > committed, "no record was aborted: {all} in the log, {committed} committed");
    Ok(())
}

#[tokio::test]
async fn a_commit_held_past_its_time_is_void_and_its_events_are_published_again() -> Result<()> {
    let _alone = alone().await;
    let (stack, driver, proxy) = begin(35, 1, "order").await?;
    driver.place_some(0..BEFORE).await?;
    proxy.hold(&[wire::END_TXN]);
    driver.place_some(BEFORE..WITH).await?;
    until_held(&proxy).await?;
    ensure!(!topics::open_transactions(&stack).await?.is_empty(), "no transaction is open");
    // The broker does not wait for ever: it aborts. The process lives, and hears nothing of it.
    quiet::until_no_transaction_is_open(&stack).await?;
    proxy.release();
    driver.place_some(WITH..ORDERS).await?;
    check(&stack, &driver).await?;
    ensure_aborted(&stack, "order").await?;
    stack.remove().await
}

#[tokio::test]
async fn a_store_restored_to_an_earlier_state_halts_its_service_and_no_other() -> Result<()> {
    let _alone = alone().await;
    let place = Place::given(env!("CARGO_BIN_EXE_stack-service"))?;
    let mut stack = Stack::prepare(place).await?;
    let script = Script { seed: 33, sagas: ORDERS, skus: 12 };
    let driver = story::begin(&mut stack, script, 1).await?;
    driver.place_some(0..BEFORE).await?;
    quiet::until_quiet(&stack, BEFORE, story::QUIET_LIMIT).await?;
    stack.end_in_peace("payment", 1).await?;
    let aside = Aside::copy(&stack, "payment").await?;
    let address = stack.start("payment", 1)?;
    driver.place_some(BEFORE..WITH).await?;
    quiet::until_quiet(&stack, WITH, story::QUIET_LIMIT).await?;

    // The lost state is aside now, and the earlier one is in its place.
    stack.kill("payment", 1)?;
    aside.swap(&stack).await?;
    let restored = tables::count(&stack.url("payment"), "events").await?;
    stack.start("payment", 1)?;
    let mut last = String::new();
    wait::until("a reason that names the loss", wait::LIMIT, async || {
        let Ok(answer) = http::send(address, "GET", "/readyz", None).await else {
            return Ok(false);
        };
        ensure!(answer.status == 503, "ready on a store that has lost events: {answer:?}");
        last = answer.body;
        Ok(last.contains("the store has lost committed events"))
    })
    .await?;
    ensure!(last.contains("halted"), "{last}");
    let alive = http::send(address, "GET", "/livez", None).await?;
    ensure!(alive.status == 200, "{alive:?}");

    // The others go on: orders are taken and published.
    driver.place_some(WITH..ORDERS).await?;
    until_published(&stack, "order").await?;
    for service in ["order", "inventory", "shipping"] {
        ensure_ready(&stack, service).await?;
    }
    // Nothing is appended, nothing is published over what it has forgotten.
    let funds = json!({"minor": 1, "currency": "EUR"});
    let refused = http::send(address, "PUT", "/accounts/account-1/funds", Some(&funds)).await?;
    ensure!(refused.status == 503, "a command was taken: {refused:?}");
    let now = tables::count(&stack.url("payment"), "events").await?;
    ensure!(now == restored, "{} events were appended", now - restored);
    let lost = tables::public_events(&aside.url(&stack)).await?;
    topics::compare("payment", &lost, &topics::read_all(&stack, "payment").await?)?;

    // A person puts the lost state back.
    stack.end_in_peace("payment", 1).await?;
    aside.swap(&stack).await?;
    stack.start("payment", 1)?;
    check(&stack, &driver).await?;
    aside.remove(&stack).await?;
    stack.remove().await
}

async fn until_published(stack: &Stack, service: &str) -> Result<()> {
    wait::until("the store to be published", wait::LIMIT, async || {
        let stored = tables::public_events(&stack.url(service)).await?;
        let published = topics::read_all(stack, service).await?;
        Ok(topics::compare(service, &stored, &published).is_ok())
    })
    .await
}

async fn ensure_ready(stack: &Stack, service: &str) -> Result<()> {
    for address in stack.addresses().of(service) {
        let answer = http::send(address, "GET", "/readyz", None).await?;
        ensure!(answer.status == 200, "{service}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_killed_for_good_is_taken_over_within_its_lease() -> Result<()> {
    let _alone = alone().await;
    let place = Place::given(env!("CARGO_BIN_EXE_stack-service"))?;
    let mut stack = Stack::prepare(place).await?;
    let script = Script { seed: 34, sagas: ORDERS, skus: 12 };
    let driver = story::begin(&mut stack, script, 2).await?;
    let faults = async {
        quiet::until_placed(&stack.databases(), i64::try_from(BEFORE)?).await?;
        let mut dead = vec![];
        // Those that publish, so that lanes and shards change hands.
        for service in SERVICES {
            let holder = tables::relay_holder(&stack.url(service)).await?;
            let number = if holder == format!("{service}-1") { 1 } else { 2 };
            stack.kill(service, number)?;
            dead.push((service, holder, Instant::now()));
        }
        for (service, holder, since) in dead {
            quiet::until_holder_is_not(&stack.url(service), &holder).await?;
            let taken = since.elapsed();
            ensure!(taken < LEASE + SLACK, "{service} was taken over after {taken:?}");
        }
        anyhow::Ok(())
    };
    tokio::try_join!(driver.place_all(), faults)?;
    check(&stack, &driver).await?;
    stack.remove().await
}
