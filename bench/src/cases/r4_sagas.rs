//! R4: the four services against four hand-written loops.

use anyhow::Result;

use super::whole::{one, times};
use crate::{
    case::Case,
    context::Context,
    duel::{self, Duel},
    figure::{Figure, Target, Unit},
    meter::Run,
    raw::RawStack,
    stage::{Market, Setup},
};

pub(crate) const CASE: Case = Case {
    name: "r4",
    what: "sagas/s of the four services ÷ four hand-written loops: same rows, same Kafka transactions",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    let duel = Duel::fight(
        context.size(1, 4),
        async |_| one(context, Setup::default()).await,
        async |_| by_hand(context).await,
    )
    .await?;
    context.figure(duel.speed("r4", "sagas/s ÷ four hand-written loops", Target::AtLeast(0.70))?);
    if let (_, Some(rate)) = duel.rates() {
        let what = "four hand-written loops";
        context.figure(Figure::new("r4.raw", what, Unit::SagasPerSecond, rate, Target::None));
    }
    duel::cpu(context, "r4.raw", "four hand-written loops", duel.baseline());
    Ok(())
}

async fn by_hand(context: &Context) -> Result<Run> {
    let stack = RawStack::open(context, Market::default()).await?;
    let (warm_up, time) = times(context);
    let run =
        stack.driver().saturate(context, async |n| stack.place(n).await, warm_up, time).await?;
    context.say(format_args!("{:.0} sagas/s by hand", run.per_second()));
    stack.close(context).await?;
    Ok(run)
}
