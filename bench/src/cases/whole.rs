//! Sagas a second of the whole stack, with all four services in one process.

use std::time::Duration;

use anyhow::Result;

use crate::{
    case::Case,
    context::Context,
    duel,
    figure::Target,
    meter::Run,
    stage::{Setup, Stage},
};

pub(crate) const CASE: Case = Case {
    name: "whole",
    what: "sagas/s of the four services in one process on PostgreSQL and Kafka",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    let mut runs = vec![];
    for _ in 0..context.size(1, 3) {
        runs.push(one(context, Setup::default()).await?);
    }
    duel::sagas(context, "whole", "four services, one process", &runs, Target::AtLeast(10_000.0))
}

/// One stack from its start to its end.
pub(crate) async fn one(context: &Context, setup: Setup) -> Result<Run> {
    let stage = Stage::open(context, setup).await?;
    let (warm_up, time) = times(context);
    let place = async |n| stage.place(n).await;
    let run = stage.driver().saturate(context, place, warm_up, time).await?;
    context.say(format_args!("{:.0} sagas/s", run.per_second()));
    stage.close(context).await?;
    Ok(run)
}

/// Warm-up, and the time that counts.
pub(crate) fn times(context: &Context) -> (Duration, Duration) {
    let quick = (Duration::from_millis(300), Duration::from_millis(700));
    context.size(quick, (Duration::from_secs(3), Duration::from_secs(6)))
}
