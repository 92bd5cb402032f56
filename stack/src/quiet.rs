//! Conditions that the stories wait for; all are read by plain SQL.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};

use crate::{
    processes::{SERVICES, Stack},
    tables, topics,
    wait::{self, until},
};

const ENDS: [&str; 3] = ["ORDER_CONCLUDED", "ORDER_FAILED", "ORDER_CANCELLED"];

/// A transaction that was open when its process died is ended by the next process, or by the broker some
/// seconds after its time-out of ten.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(40);

/// At least so many orders are placed.
///
/// # Errors
/// When they are not in time.
pub async fn until_placed(databases: &BTreeMap<&str, String>, count: i64) -> Result<()> {
    let url = &databases["order"];
    until("orders to be placed", wait::LIMIT, async || {
        Ok(tables::count_types(url, &["ORDER_CREATED"]).await? >= count)
    })
    .await
}

/// A store has at least so many events.
///
/// # Errors
/// When it has not in time.
pub async fn until_events(url: &str, count: i64) -> Result<()> {
    until("more events", wait::LIMIT, async || Ok(tables::count(url, "events").await? >= count))
        .await
}

/// At least so many orders have ended.
///
/// # Errors
/// When they have not in time.
pub async fn until_ended(url: &str, count: i64, limit: Duration) -> Result<()> {
    until(&format!("{count} orders to end"), limit, async || Ok(ended(url).await? >= count)).await
}

/// How many orders have ended.
///
/// # Errors
/// What PostgreSQL says.
pub async fn ended(url: &str) -> Result<i64> {
    tables::count_types(url, &ENDS).await
}

/// The relay has another holder, who is alive.
///
/// # Errors
/// When it has not in time.
pub async fn until_holder_is_not(url: &str, former: &str) -> Result<()> {
    until("another instance to publish", wait::LIMIT, async || {
        Ok(tables::relay_holder(url).await.is_ok_and(|holder| holder != former))
    })
    .await
}

/// No transaction is open in any topic of the stack: every partition's last stable offset is its end.
///
/// # Errors
/// Where one hangs.
pub async fn until_no_transaction_is_open(stack: &Stack) -> Result<()> {
    let mut last = vec![];
    let closed = until("transactions to end", TRANSACTION_LIMIT, async || {
        last = topics::open_transactions(stack).await?;
        Ok(last.is_empty())
    })
    .await;
    closed.with_context(|| format!("a hanging transaction: {last:?}"))
}

/// All orders have ended, and nothing is unread, parked or dead anywhere.
///
/// # Errors
/// What is still under way at the end of the time.
pub async fn until_quiet(stack: &Stack, orders: u64, limit: Duration) -> Result<()> {
    let orders = i64::try_from(orders)?;
    until_ended(&stack.url("order"), orders, limit).await?;
    let mut last = String::new();
    let quiet = until("all to be quiet", limit, async || {
        last = unquiet(stack).await?;
        Ok(last.is_empty())
    })
    .await;
    quiet.with_context(|| last)
}

/// What is still under way; nothing when all is quiet.
async fn unquiet(stack: &Stack) -> Result<String> {
    let mut heads = BTreeMap::new();
    for service in SERVICES {
        for (lane, head) in tables::heads(&stack.url(service)).await? {
            heads.insert((stack.topic(service), lane), head);
        }
    }
    for service in SERVICES {
        let url = stack.url(service);
        let held = tables::count(&url, "held").await?;
        if held > 0 {
            return Ok(format!("{service} holds {held} messages"));
        }
        let positions = tables::positions(&url).await?;
        if positions.is_empty() {
            return Ok(format!("{service} has read nothing"));
        }
        for (place, last) in positions {
            let head = heads.get(&place).copied().unwrap_or_default();
            if last != head {
                return Ok(format!("{service} is at {last} of {head} in {place:?}"));
            }
        }
    }
    Ok(String::new())
}
