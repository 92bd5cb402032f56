//! Drives the story: fills accounts and stock, places the orders, changes some customers' minds.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use futures_util::{StreamExt, TryStreamExt, stream};
use inventory::SetStock;
use order::{CancelOrder, Orders, PlaceOrder};
use payment::SetFunds;
use quadrille::engine::{Client, ClientError, Receipt};
use schemas::{CancellationReason, OrderId};

use crate::{
    parts::Part,
    script::{Kind, Placement, Script},
    stage::Stage,
};

/// Commands that are under way at the same time.
const COMMANDS_AT_ONCE: usize = 512;
/// How long a command waits before it is tried again while the service is busy.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Fills the accounts and the stock. Repeated after a crash, it changes nothing.
pub(crate) async fn prepare(stage: &Stage, script: &Script) -> Result<()> {
    let (payments, stock) = (&stage.payments(), &stage.stock());
    let local = match &stage.till {
        Some(till) => {
            till.fill(script).await.context("cannot fill the gateway's accounts")?;
            vec![]
        }
        None => script.accounts()?,
    };
    let accounts = local.into_iter().zip(0..);
    stream::iter(accounts)
        .map(|((account, funds), n)| async move {
            let cause = script.command(Kind::Fund, n);
            accepted(|| payments.execute_once(cause, &account, SetFunds { funds })).await
        })
        .buffer_unordered(COMMANDS_AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
        .context("cannot fill the accounts")?;
    let articles = script.stock()?.into_iter().zip(0..);
    stream::iter(articles)
        .map(|((sku, available), n)| async move {
            let cause = script.command(Kind::Stock, n);
            accepted(|| stock.execute_once(cause, &sku, SetStock { available })).await
        })
        .buffer_unordered(COMMANDS_AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
        .context("cannot fill the stock")
}

/// Places all orders of a part; some customers change their minds a moment later.
pub(crate) async fn place_all(
    orders: &Client<Orders>,
    script: &Script,
    part: &Part,
    placed: impl Fn(u64),
) -> Result<()> {
    let (placed, count) = (&placed, &AtomicU64::new(part.orders.start));
    stream::iter(part.orders.clone())
        .map(|n| async move {
            let placement = script.placement(n)?;
            let (order, regret) = (placement.order.clone(), placement.cancelled_after);
            place(orders, script, part, n, placement)
                .await
                .with_context(|| format!("cannot place {order}"))?;
            placed(1 + count.fetch_add(1, Ordering::Relaxed));
            if let Some(after) = regret {
                tokio::time::sleep(after).await;
                cancel(orders, script, n, &order)
                    .await
                    .with_context(|| format!("cannot cancel {order}"))?;
            }
            anyhow::Ok(())
        })
        .buffer_unordered(COMMANDS_AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
}

async fn place(
    orders: &Client<Orders>,
    script: &Script,
    part: &Part,
    n: u64,
    placement: Placement,
) -> Result<()> {
    let Placement { order, customer, account, lines, destination, .. } = placement;
    let cause = script.command(Kind::Place, n);
    let (order, finish_within) = (order.clone(), part.finish_within);
    let command =
        PlaceOrder { order: order.clone(), customer, account, lines, destination, finish_within };
    accepted(|| orders.execute_once(cause, &order, command.clone())).await
}

async fn cancel(orders: &Client<Orders>, script: &Script, n: u64, order: &OrderId) -> Result<()> {
    let cause = script.command(Kind::Cancel, n);
    // It may have ended already: a refusal is an answer too.
    let command = CancelOrder { reason: CancellationReason::Customer };
    answered(|| orders.execute_once(cause, order, command.clone())).await.map(drop)
}

/// Tries a command again while the service is busy.
async fn answered<F, R>(mut command: impl FnMut() -> F) -> Result<Result<Receipt, R>>
where
    F: Future<Output = Result<Result<Receipt, R>, ClientError>>,
{
    loop {
        match command().await {
            Err(ClientError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            answer => return Ok(answer?),
        }
    }
}

/// A command that the business must not refuse.
async fn accepted<F, R: Debug>(command: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<Result<Receipt, R>, ClientError>>,
{
    answered(command).await?.map(drop).map_err(|refusal| anyhow!("refused: {refusal:?}"))
}
