//! The books: what accounts and articles say at the end, where they are kept.

use anyhow::{Context, Result};
use inventory::Stock;
use payment::Account;

use crate::{audit::Books, script::Script, stage::Stage};

/// Reads every account and every article of the story.
pub(crate) async fn read(stage: &Stage, script: &Script) -> Result<Books> {
    let mut books = Books::default();
    match &stage.till {
        Some(till) => {
            let totals = till.totals();
            books.captured = totals.money.values().map(|sums| sums.charged).sum();
            books.refunded = totals.money.values().map(|sums| sums.refunded).sum();
        }
        None => read_accounts(stage, script, &mut books).await?,
    }
    let stock = stage.stock();
    for (sku, put) in script.stock()? {
        // An article of which there was never any has no history.
        let found: Option<Stock> = stock.load(&sku).await?;
        let found = found
            .or((put == 0).then(Stock::default))
            .with_context(|| format!("{sku} is missing"))?;
        books.stock.push((put, found.available, found.reserved, found.shipped));
    }
    Ok(books)
}

async fn read_accounts(stage: &Stage, script: &Script, books: &mut Books) -> Result<()> {
    let payments = stage.payments();
    for (account, _) in script.accounts()? {
        let found: Account =
            payments.load(&account).await?.with_context(|| format!("{account} is missing"))?;
        let balance = found.balance().with_context(|| format!("{account} was never filled"))?;
        books.captured += balance.captured.minor();
        books.refunded += balance.refunded.minor();
    }
    Ok(())
}
