//! All orders on one article against orders that are spread over a thousand.

use anyhow::Result;

use super::whole::one;
use crate::{
    case::Case,
    context::Context,
    duel::Duel,
    figure::Target,
    stage::{Market, Setup},
};

pub(crate) const CASE: Case = Case {
    name: "hot",
    what: "sagas/s with all orders on one SKU ÷ spread over 1,000",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    let on = |skus| Setup { market: Market { skus }, ..Setup::default() };
    let duel = Duel::fight(
        context.size(1, 3),
        async |_| one(context, on(1)).await,
        async |_| one(context, on(1_000)).await,
    )
    .await?;
    context.figure(duel.speed("hot", "1 SKU ÷ 1,000 SKUs", Target::AtLeast(0.5))?);
    Ok(())
}
