//! R7: a saga's time at half load against the sum of its round trips.
//!
//! A saga is five appends, four of them behind a look at the store, and four transactions that the next
//! service reads. Each of these is measured alone, one at a time, on servers that do nothing else.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use quadrille::log::{EventLog as _, TopicSpec};
use rdkafka::message::{Header, OwnedHeaders};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    latency::{at, millis},
    r1_append::{Ground, Hand},
    whole::one,
};
use crate::{
    case::Case,
    context::Context,
    figure::{Figure, Target, Unit},
    raw::{
        consume,
        producer::{Producer, Record},
    },
    sample::{Spread, percentile},
    stage::Setup,
};

pub(crate) const CASE: Case = Case {
    name: "r7",
    what: "p50 and p99 of a saga at half load ÷ the sum of its round trips",
    run: |context| Box::pin(run(context)),
};

const APPENDS: f64 = 5.0;
const LOOKS: f64 = 4.0;
const PUBLISHED: f64 = 4.0;
const LIMIT: Duration = Duration::from_secs(20);

async fn run(context: &Context) -> Result<()> {
    let tries = context.size(30, 400);
    let (append, look) = store(context, tries).await?;
    let published = log(context, tries).await?;
    let trips = APPENDS * append + LOOKS * look + PUBLISHED * published;
    millis(context, "r7.append", "round trip: one append", &[append], Target::None);
    millis(context, "r7.look", "round trip: one look at the store", &[look], Target::None);
    millis(context, "r7.publish", "round trip: published and read", &[published], Target::None);
    millis(context, "r7.trips", "a saga's round trips, summed", &[trips], Target::None);
    let half = one(context, Setup::default()).await?.per_second() / 2.0;
    let (mut p50, mut p99) = (vec![], vec![]);
    for _ in 0..context.size(1, 3) {
        let latencies = at(context, half).await?;
        p50.push(latencies.p50 / trips);
        p99.push(latencies.p99 / trips);
    }
    for (name, values) in [("p50", p50), ("p99", p99)] {
        let spread = Spread::of(&values).context("nothing measured")?;
        let what = format!("saga {name} at half load ({half:.0}/s) ÷ its round trips");
        context.figure(Figure::new(format!("r7.{name}"), what, Unit::Ratio, spread, Target::None));
    }
    Ok(())
}

/// Medians of an append of one event, and of a look for one stream, in milliseconds.
async fn store(context: &Context, tries: u64) -> Result<(f64, f64)> {
    let ground = Ground::new(context).await?;
    let mut hand = Hand::new(&ground).await?;
    let (mut appends, mut looks) = (vec![], vec![]);
    for n in 0..tries {
        let run = hand.appends(context, 1, Duration::ZERO, 1).await?;
        appends.push(run.wall.as_secs_f64() * 1e3);
        let started = Instant::now();
        hand.writer.heads(&[format!("participation/none-{n}")]).await?;
        looks.push(started.elapsed().as_secs_f64() * 1e3);
    }
    ground.remove(context).await?;
    let median = |values: &mut Vec<f64>| percentile(values, 0.5).context("nothing measured");
    Ok((median(&mut appends)?, median(&mut looks)?))
}

/// The median time from the begin of a transaction of one record until a consumer has it.
async fn log(context: &Context, tries: u64) -> Result<f64> {
    let topic = context.grounds.name();
    let spec = TopicSpec { name: topic.as_str().into(), lanes: 1, record_bytes_max: 600_000 };
    context.grounds.log()?.ensure_topic(&spec).await?;
    let kafka = context.grounds.kafka.clone();
    let producer = tokio::task::block_in_place(|| Producer::open(&kafka, &topic, &topic))?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut messages = consume(&kafka, std::slice::from_ref(&topic), 1, stop.clone())?;
    let mut times = vec![];
    for n in 0..tries {
        let started = Instant::now();
        tokio::task::block_in_place(|| producer.publish(std::iter::once(record(n))))?;
        timeout(LIMIT, messages.recv()).await?.context("the consumer has gone")?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    tokio::task::block_in_place(|| drop(producer));
    context.grounds.drop_topics(&[topic]).await?;
    percentile(&mut times, 0.5).context("nothing measured")
}

fn record(n: u64) -> Record<'static> {
    let (number, id) = (n.to_string(), Uuid::nil().to_string());
    let values = [
        ("ce_laneseq", number.as_str()),
        ("ce_id", &id),
        ("ce_correlationid", &id),
        ("ce_type", "T"),
    ];
    let headers = values.into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    });
    Record { partition: 0, key: b"k", payload: b"{}", headers, time: 1 }
}
