//! Conditions that the stories wait for; all are read by plain SQL.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};

use crate::{
    processes::{SERVICES, Stack},
    tables,
    wait::{self, until},
};

const ENDS: [&str; 3] = ["ORDER_CONCLUDED", "ORDER_FAILED", "ORDER_CANCELLED"];

/// At least so many orders are placed.
pub(crate) async fn until_placed(databases: &BTreeMap<&str, String>, count: i64) -> Result<()> {
    let url = &databases["order"];
    until("orders to be placed", wait::LIMIT, async || {
        Ok(tables::count_types(url, &["ORDER_CREATED"]).await? >= count)
    })
    .await
}

/// A store has at least so many events.
pub(crate) async fn until_events(url: &str, count: i64) -> Result<()> {
    until("more events", wait::LIMIT, async || Ok(tables::count(url, "events").await? >= count))
        .await
}

/// At least so many orders have ended.
pub(crate) async fn until_ended(url: &str, count: i64, limit: Duration) -> Result<()> {
    until(&format!("{count} orders to end"), limit, async || {
        Ok(tables::count_types(url, &ENDS).await? >= count)
    })
    .await
}

/// The relay has another holder, who is alive.
pub(crate) async fn until_holder_is_not(url: &str, former: &str) -> Result<()> {
    until("another instance to publish", wait::LIMIT, async || {
        Ok(tables::relay_holder(url).await.is_ok_and(|holder| holder != former))
    })
    .await
}

/// All orders have ended, and nothing is unread, parked or dead anywhere.
pub(crate) async fn until_quiet(stack: &Stack, orders: u64, limit: Duration) -> Result<()> {
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
