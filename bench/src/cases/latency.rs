//! How long a saga takes, from the moment at which it is due until its end is durable.

use std::time::Duration;

use anyhow::Result;

use crate::{
    case::Case,
    context::Context,
    figure::{Figure, Target, Unit},
    raw::RawStack,
    sample::Spread,
    stage::{Driver, Latencies, Market, Setup, Stage},
};

pub(crate) const CASE: Case = Case {
    name: "latency",
    what: "p50 and p99 of a saga at 400 and at 2,000 a second, beside four hand-written loops",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    for (rate, wanted) in [(400u32, 60.0), (2_000, 190.0)] {
        let rate_here = context.size(f64::from(rate) / 10.0, f64::from(rate));
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..context.size(1, 3) {
            ours.push(at(context, rate_here).await?);
            theirs.push(by_hand(context, rate_here).await?);
        }
        let saga = format!("saga at {rate}/s");
        both(context, &format!("latency.{rate}"), &saga, &ours, Target::AtMost(wanted));
        let (key, saga) = (format!("latency.{rate}.raw"), format!("{saga}, four loops by hand"));
        both(context, &key, &saga, &theirs, Target::None);
    }
    Ok(())
}

/// Hands over p50, and p99 with its target.
fn both(context: &Context, key: &str, what: &str, runs: &[Latencies], p99: Target) {
    let of = |part: fn(&Latencies) -> f64| runs.iter().map(part).collect::<Vec<_>>();
    millis(context, &format!("{key}.p50"), &format!("{what}: p50"), &of(|it| it.p50), Target::None);
    millis(context, &format!("{key}.p99"), &format!("{what}: p99"), &of(|it| it.p99), p99);
}

/// Hands over a figure in milliseconds.
pub(crate) fn millis(context: &Context, key: &str, what: &str, values: &[f64], target: Target) {
    if let Some(spread) = Spread::of(values) {
        context.figure(Figure::new(key, what, Unit::Millis, spread, target));
    }
}

/// One stack, so many orders a second.
pub(crate) async fn at(context: &Context, rate: f64) -> Result<Latencies> {
    let stage = Stage::open(context, Setup::default()).await?;
    let place = async |n| stage.place(n).await;
    let latencies = measured(context, &stage.driver(), place, rate, "").await?;
    stage.close(context).await?;
    Ok(latencies)
}

/// The same by hand.
async fn by_hand(context: &Context, rate: f64) -> Result<Latencies> {
    let stack = RawStack::open(context, Market::default()).await?;
    let place = async |n| stack.place(n).await;
    let latencies = measured(context, &stack.driver(), place, rate, " by hand").await?;
    stack.close(context).await?;
    Ok(latencies)
}

async fn measured(
    context: &Context,
    driver: &Driver,
    place: impl AsyncFn(u64) -> Result<()>,
    rate: f64,
    whose: &str,
) -> Result<Latencies> {
    let (warm_up, time) = context.size(
        (Duration::from_millis(500), Duration::from_secs(1)),
        (Duration::from_secs(3), Duration::from_secs(10)),
    );
    let latencies = driver.at_rate(context, place, rate, warm_up, time).await?;
    let (p50, p99) = (latencies.p50, latencies.p99);
    context.say(format_args!("{rate:.0}/s{whose}: p50 {p50:.1} ms, p99 {p99:.1} ms"));
    Ok(latencies)
}
