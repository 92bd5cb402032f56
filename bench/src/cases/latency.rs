//! How long a saga takes, from the moment at which it is due until its end is durable.

use std::time::Duration;

use anyhow::Result;

use crate::{
    case::Case,
    context::Context,
    figure::{Figure, Target, Unit},
    sample::Spread,
    stage::{Latencies, Setup, Stage},
};

pub(crate) const CASE: Case = Case {
    name: "latency",
    what: "p50 and p99 of a saga at 400 and at 2,000 a second",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    for (rate, wanted) in [(400u32, 60.0), (2_000, 190.0)] {
        let rate_here = context.size(f64::from(rate) / 10.0, f64::from(rate));
        let (mut p50, mut p99) = (vec![], vec![]);
        for _ in 0..context.size(1, 3) {
            let latencies = at(context, rate_here).await?;
            p50.push(latencies.p50);
            p99.push(latencies.p99);
        }
        millis(
            context,
            &format!("latency.{rate}.p50"),
            &format!("saga p50 at {rate}/s"),
            &p50,
            Target::None,
        )?;
        let target = Target::AtMost(wanted);
        millis(
            context,
            &format!("latency.{rate}.p99"),
            &format!("saga p99 at {rate}/s"),
            &p99,
            target,
        )?;
    }
    Ok(())
}

/// Hands over a figure in milliseconds.
pub(crate) fn millis(
    context: &Context,
    key: &str,
    what: &str,
    values: &[f64],
    target: Target,
) -> Result<()> {
    if let Some(spread) = Spread::of(values) {
        context.figure(Figure::new(key, what, Unit::Millis, spread, target));
    }
    Ok(())
}

/// One stack, so many orders a second.
pub(crate) async fn at(context: &Context, rate: f64) -> Result<Latencies> {
    let stage = Stage::open(context, Setup::default()).await?;
    let (warm_up, time) = context.size(
        (Duration::from_millis(500), Duration::from_secs(1)),
        (Duration::from_secs(3), Duration::from_secs(10)),
    );
    let place = async |n| stage.place(n).await;
    let latencies = stage.driver().at_rate(context, place, rate, warm_up, time).await?;
    let (p50, p99) = (latencies.p50, latencies.p99);
    context.say(format_args!("{rate:.0}/s: p50 {p50:.1} ms, p99 {p99:.1} ms"));
    stage.close(context).await?;
    Ok(latencies)
}
