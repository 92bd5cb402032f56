//! What a pace under load gains: fewer, larger commits and transactions.

use std::time::Duration;

use anyhow::Result;
use quadrille::engine::Limits;

use super::whole::one;
use crate::{case::Case, context::Context, duel::Duel, figure::Target, stage::Setup};

pub(crate) const CASE: Case = Case {
    name: "pace",
    what: "sagas/s with appends 20 ms and transactions 40 ms apart under load ÷ without a pace",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    let with = |limits| Setup { limits, ..Setup::default() };
    let duel = Duel::fight(
        context.size(1, 3),
        async |_| one(context, with(paced)).await,
        async |_| one(context, with(unpaced)).await,
    )
    .await?;
    context.figure(duel.speed("pace", "paced under load ÷ not paced", Target::None)?);
    Ok(())
}

fn paced(limits: &mut Limits) {
    limits.pace_under_load = Duration::from_millis(20);
    limits.relay_pace_under_load = Duration::from_millis(40);
}

fn unpaced(limits: &mut Limits) {
    limits.pace_under_load = Duration::ZERO;
    limits.relay_pace_under_load = Duration::ZERO;
}
