//! R6: what an event costs in a long stream.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use payment::{Payment, SetFunds};
use quadrille::{
    engine::{Client, Config, Engine},
    log::memory::{MemoryLog, MemoryLogOptions},
    store::postgres::PostgresStore,
};
use schemas::AccountId;

use crate::{case::Case, context::Context, duel::Duel, figure::Target, meter::Run, stage::euros};

pub(crate) const CASE: Case = Case {
    name: "r6.streams",
    what: "cost of an event in a stream of 10⁴ events, with snapshots, ÷ in one of 10",
    run: |context| Box::pin(run(context)),
};

const COMMANDS_AT_ONCE: usize = 64;
/// Streams on each side.
const STREAMS: u64 = 20;
const SHORT: u64 = 10;
/// Events that one measurement adds to each stream.
const ADDED: u64 = 20;

async fn run(context: &Context) -> Result<()> {
    let long = context.size(400, 10_000);
    let measurements = context.size(2, 8);
    let database = context.grounds.database().await?;
    let mut config = Config::new(context.grounds.name());
    config.sources = Some(vec![]);
    let store = Arc::new(PostgresStore::connect(&database.url).await?);
    let log = Arc::new(MemoryLog::new(MemoryLogOptions::default()));
    let running = Engine::new(Payment::default(), store, log, config).start().await?;
    let client = running.client();
    context.say(format_args!("making {STREAMS} streams of {long} events"));
    add(&client, "long", 0..long).await?;
    let (mut at, mut fresh) = (long, 0);
    let duel = Duel::fight(
        context.rounds(),
        async |_| {
            let mut run = Run::default();
            for _ in 0..measurements {
                run = run.plus(&timed(context, &client, "long", at..at + ADDED).await?);
                at += ADDED;
            }
            Ok(run)
        },
        async |_| {
            let mut run = Run::default();
            for _ in 0..measurements {
                fresh += 1;
                let name = format!("short-{fresh}");
                add(&client, &name, 0..SHORT).await?;
                run = run.plus(&timed(context, &client, &name, SHORT..SHORT + ADDED).await?);
            }
            Ok(run)
        },
    )
    .await?;
    ensure!(running.shutdown(Duration::from_secs(30)).await, "it did not drain");
    context.grounds.drop_database(&database).await?;
    let what = format!("cost of an event in a stream of {long} ÷ of {SHORT}");
    context.figure(duel.cost("r6.streams", &what, Target::AtMost(1.1))?);
    Ok(())
}

async fn timed(
    context: &Context,
    client: &Client<Payment>,
    name: &str,
    events: std::ops::Range<u64>,
) -> Result<Run> {
    let count = (events.end - events.start) * STREAMS;
    let meter = context.meter();
    add(client, name, events).await?;
    Ok(meter.stop(count))
}

/// Adds events of these numbers to each stream of the name. Each command sets other funds than the last one
/// did, or it would record nothing.
async fn add(client: &Client<Payment>, name: &str, events: std::ops::Range<u64>) -> Result<()> {
    let commands = events.flat_map(|event| (0..STREAMS).map(move |n| (event, n)));
    stream::iter(commands)
        .map(|(event, n)| async move {
            let account: AccountId = format!("{name}-{n}").parse()?;
            let set = client.execute(&account, SetFunds { funds: euros(1 + event)? }).await?;
            set.map(drop).map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
        })
        .buffer_unordered(COMMANDS_AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
}
