//! R3: one step of the intake against the same by hand.
//!
//! The payment service charges orders that stand in a topic: read, decide, append. Nothing is published on
//! either side.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use order::PlaceOrder;
use quadrille::{
    DomainEvent as _,
    engine::{Config, Engine, Running},
    id::{EventId, Lane, SagaId, StreamId},
    log::{
        EventLog, NewRecord, TopicSpec,
        partition::lane_of,
        record::{ServiceIdentity, encode},
    },
    runtime::Runtime,
    store::{EventStore as _, Published, RecordedEvent, postgres::PostgresStore},
};
use schemas::OrderCreated;
use tokio::sync::mpsc;

use crate::{
    case::Case,
    context::Context,
    duel::Duel,
    figure::Target,
    meter::Run,
    raw::{
        Business as _, Payment, Place, Service, accounts, begun, consume, opened, prepare,
        sql::Writer,
    },
    silent::Silent,
    stage::{Ends, LANES, Market, SERVICES, command},
};

pub(crate) const CASE: Case = Case {
    name: "r3",
    what: "one intake step (read, decide, append) of 100 messages ÷ the same by hand",
    run: |context| Box::pin(run(context)),
};

const BATCH: usize = 100;
/// The lease of who publishes the service's only shard.
const RELAY: &str = "relay/0";
const LIMIT: Duration = Duration::from_secs(60);

async fn run(context: &Context) -> Result<()> {
    let orders = context.size(3_000, 30_000);
    let namespace = context.grounds.name();
    fill(context, &namespace, orders).await?;
    let duel = Duel::fight(
        context.size(2, 5),
        async |_| toolkit(context, &namespace, orders).await,
        async |_| by_hand(context, &namespace, orders).await,
    )
    .await?;
    let topics = SERVICES.map(|service| topic(&namespace, service));
    context.grounds.drop_topics(&topics).await?;
    context.figure(duel.speed(
        "r3",
        "intake step ÷ by hand, 100 messages",
        Target::AtLeast(0.85),
    )?);
    Ok(())
}

fn topic(namespace: &str, service: &str) -> String {
    format!("{namespace}.{service}.events")
}

/// Makes the topics, and puts the orders into the order service's.
async fn fill(context: &Context, namespace: &str, orders: u64) -> Result<()> {
    let log = context.grounds.log()?;
    for service in SERVICES {
        let name = topic(namespace, service).into();
        log.ensure_topic(&TopicSpec { name, lanes: LANES, record_bytes_max: 600_000 }).await?;
    }
    let records = records(orders)?;
    let topic = topic(namespace, "order");
    let mut publisher = log.publisher(&format!("{namespace}.fill"), &topic).await?;
    for chunk in records.chunks(5_000) {
        publisher = publisher.publish(chunk.to_vec()).await?;
    }
    Ok(())
}

fn records(orders: u64) -> Result<Vec<NewRecord>> {
    let (runtime, identity) = (Runtime::tokio(), ServiceIdentity::new("order"));
    let mut heads = [0; LANES as usize];
    let mut record = |n| -> Result<NewRecord> {
        let (_, PlaceOrder { order, customer, account, lines, destination, .. }) =
            command(Market::default(), n)?;
        let (key, total) = (order.to_string(), lines.total());
        let created = OrderCreated { order, customer, account, lines, total, destination };
        let Lane(lane) = lane_of(key.as_bytes(), LANES);
        heads[lane as usize] += 1;
        let saga = runtime.new_uuid();
        let event = RecordedEvent {
            id: EventId(runtime.new_uuid()),
            stream: StreamId::new("order", &key)?,
            version: 1,
            event_type: OrderCreated::TYPE.into(),
            payload: serde_json::to_vec(&created)?.into(),
            saga: SagaId(saga),
            causation: runtime.new_uuid().to_string(),
            time: runtime.clock.now(),
            // As orders have it that come from the service.
            trace: Some(begun(saga, runtime.new_uuid())),
            published: Some(Published {
                lane: Lane(lane),
                lane_seq: heads[lane as usize],
                key: key.into(),
            }),
        };
        encode(&identity, &event).context("a private event")
    };
    (0..orders).map(&mut record).collect()
}

async fn toolkit(context: &Context, namespace: &str, orders: u64) -> Result<Run> {
    let database = context.grounds.database().await?;
    let fund = engine(context, namespace, &database.url, Some(vec![])).await?;
    Market::default().fund(&fund.client()).await?;
    ensure!(fund.shutdown(LIMIT).await, "funding did not drain");
    let running = engine(context, namespace, &database.url, None).await?;
    let applied = || running.client().counters().messages_applied;
    let run = measure(context, orders, applied).await?;
    let counters = running.client().counters();
    context.say(format_args!(
        "{:.0} messages/s, {} an append, {} handlers ran again",
        run.per_second(),
        counters.messages_applied / counters.appends.max(1),
        counters.reruns
    ));
    ensure!(running.shutdown(LIMIT).await, "the intake did not drain");
    context.grounds.drop_database(&database).await?;
    Ok(run)
}

async fn engine(
    context: &Context,
    namespace: &str,
    url: &str,
    sources: Option<Vec<String>>,
) -> Result<Running<payment::Payment>> {
    let mut config = Config::new(namespace);
    config.lanes = LANES;
    config.sources = sources;
    config.limits.batch_works_max = BATCH;
    let store = Arc::new(PostgresStore::connect(url).await?);
    // As if another instance published: this one's relay has no part in the step.
    let publishes = store.lease(RELAY, "another instance", 10 * LIMIT).await?;
    ensure!(publishes.is_some(), "the relay's lease is taken");
    let log = Arc::new(Silent(context.grounds.log()?));
    Ok(Engine::new(payment::Payment::default(), store, log, config).start().await?)
}

async fn by_hand(context: &Context, namespace: &str, orders: u64) -> Result<Run> {
    let database = context.grounds.database().await?;
    let topics: Vec<String> = Payment::SOURCES.iter().map(|name| topic(namespace, name)).collect();
    let accounts = accounts()?;
    prepare(&database.url, &topics, &opened("account", &accounts)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let place = Place {
        writer: Writer::connect(&database.url).await?,
        reader: Writer::connect(&database.url).await?,
        messages: consume(&context.grounds.kafka, &topics, i32::try_from(LANES)?, stop.clone())?,
        topics,
        lanes: LANES,
        relay: None,
        works_max: BATCH,
    };
    let (_commands, none) = mpsc::channel(1);
    let payment = Payment::with(accounts.into_iter());
    let service = Service::new(payment, place, none, Arc::new(Ends::default()));
    let applied = Arc::new(AtomicU64::new(0));
    let counter = applied.clone();
    let task = tokio::spawn(service.run(move |works| {
        counter.fetch_add(works, Ordering::Relaxed);
    }));
    let run = measure(context, orders, || applied.load(Ordering::Relaxed)).await;
    stop.store(true, Ordering::Relaxed);
    if task.is_finished() {
        task.await??;
    } else {
        task.abort();
    }
    context.grounds.drop_database(&database).await?;
    run
}

/// From a tenth of the orders to all of them.
async fn measure(context: &Context, orders: u64, applied: impl Fn() -> u64) -> Result<Run> {
    until(|| applied() >= orders / 10).await?;
    let (meter, before) = (context.meter(), applied());
    until(|| applied() >= orders).await?;
    Ok(meter.stop(orders - before))
}

async fn until(condition: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        ensure!(Instant::now() < deadline, "not done within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
