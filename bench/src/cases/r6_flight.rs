//! R6: what a step costs while many sagas are in flight.
//!
//! The order service has placed them all; deliveries come in for the oldest, as fast as it concludes them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use order::Orders;
use quadrille::{
    DomainEvent as _,
    engine::{Config, Engine, Running},
    id::{EventId, Lane, SagaId, StreamId},
    log::{
        EventLog as _, Publisher, TopicSpec,
        memory::{MemoryLog, MemoryLogOptions},
        partition::lane_of,
        record::{ServiceIdentity, encode},
    },
    runtime::Runtime,
    store::{Published, RecordedEvent, postgres::PostgresStore},
};
use schemas::OrderDelivered;

use crate::{
    case::Case,
    context::Context,
    duel::Duel,
    figure::Target,
    grounds::Database,
    meter::Run,
    stage::{LANES, Market, command, order_id},
};

pub(crate) const CASE: Case = Case {
    name: "r6.flight",
    what: "cost of a step with 10⁵ sagas in flight ÷ with 10²",
    run: |context| Box::pin(run(context)),
};

const COMMANDS_AT_ONCE: usize = 500;
/// Sagas that are concluded, and replaced, at once.
const BATCH: u64 = 100;
/// Aggregates that hold all of them, and those that take their place.
const CACHED_ALL: usize = 1_000_000;
const LIMIT: Duration = Duration::from_secs(60);

async fn run(context: &Context) -> Result<()> {
    let many = context.size(2_000, 100_000);
    let measurements = context.size(2, 15);
    let mut at_few = Flight::open(context, BATCH, None).await?;
    for (name, cached) in [("r6.flight", None), ("r6.flight.cached", Some(CACHED_ALL))] {
        let mut at_many = Flight::open(context, many, cached).await?;
        let duel = Duel::fight(
            context.rounds(),
            async |_| at_many.conclude(context, measurements).await,
            async |_| at_few.conclude(context, measurements).await,
        )
        .await?;
        at_many.close(context).await?;
        let how = cached.map_or("", |_| ", all cached");
        let what = format!("cost of a step with {many} sagas in flight{how} ÷ with {BATCH}");
        context.figure(duel.cost(name, &what, Target::AtMost(1.1))?);
    }
    at_few.close(context).await
}

/// An order service with orders in flight.
struct Flight {
    database: Database,
    running: Running<Orders>,
    publisher: Option<Box<dyn Publisher>>,
    runtime: Runtime,
    identity: ServiceIdentity,
    placed: u64,
    concluded: u64,
    heads: [u64; LANES as usize],
}

impl Flight {
    /// `cached`: how many aggregates are kept in memory; none for the default.
    async fn open(context: &Context, orders: u64, cached: Option<usize>) -> Result<Self> {
        context.say(format_args!("placing {orders} orders"));
        let database = context.grounds.database().await?;
        let store = Arc::new(PostgresStore::connect(&database.url).await?);
        let log = Arc::new(MemoryLog::new(MemoryLogOptions::default()));
        let mut config = Config::new("bench");
        config.lanes = LANES;
        config.limits.aggregates_cached_max = cached.unwrap_or(config.limits.aggregates_cached_max);
        let topic = config.topic_of("shipping");
        for service in ["shipping", "payment", "inventory"] {
            let name = config.topic_of(service).into();
            log.ensure_topic(&TopicSpec { name, lanes: LANES, record_bytes_max: 600_000 }).await?;
        }
        let publisher = Some(log.publisher("bench.shipping", &topic).await?);
        let running = Engine::new(Orders, store, log, config).start().await?;
        let (runtime, identity) = (Runtime::tokio(), ServiceIdentity::new("shipping"));
        let (placed, concluded, heads) = (0, 0, [0; LANES as usize]);
        let mut flight =
            Self { database, running, publisher, runtime, identity, placed, concluded, heads };
        flight.place(orders).await?;
        Ok(flight)
    }

    async fn place(&mut self, orders: u64) -> Result<()> {
        let client = &self.running.client();
        stream::iter(self.placed..self.placed + orders)
            .map(|n| async move {
                let (id, command) = command(Market::default(), n)?;
                let placed = client.execute(&id, command).await?;
                placed.map(drop).map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
            })
            .buffer_unordered(COMMANDS_AT_ONCE)
            .try_for_each(|()| async { anyhow::Ok(()) })
            .await?;
        self.placed += orders;
        Ok(())
    }

    /// Concludes the oldest, some at a time, and places others instead: only the former is timed.
    async fn conclude(&mut self, context: &Context, measurements: u64) -> Result<Run> {
        let mut all = Run::default();
        for _ in 0..measurements {
            let records = (self.concluded..self.concluded + BATCH)
                .map(|n| {
                    let event = self.delivered(n)?;
                    encode(&self.identity, &event).context("a private event")
                })
                .collect::<Result<Vec<_>>>()?;
            let publisher = self.publisher.take().context("no publisher")?;
            let before = self.running.client().counters().messages_applied;
            let (meter, deadline) = (context.meter(), Instant::now() + LIMIT);
            self.publisher = Some(publisher.publish(records).await?);
            while self.running.client().counters().messages_applied < before + BATCH {
                ensure!(Instant::now() < deadline, "not concluded within {LIMIT:?}");
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            all = all.plus(&meter.stop(BATCH));
            self.concluded += BATCH;
            self.place(BATCH).await?;
        }
        Ok(all)
    }

    fn delivered(&mut self, n: u64) -> Result<RecordedEvent> {
        let order = order_id(n)?;
        let key = order.to_string();
        let lane = lane_of(key.as_bytes(), LANES);
        self.heads[lane.0 as usize] += 1;
        Ok(RecordedEvent {
            id: EventId(self.runtime.new_uuid()),
            stream: StreamId::new("participation", &key)?,
            version: 1,
            event_type: OrderDelivered::TYPE.into(),
            payload: serde_json::to_vec(&OrderDelivered { order })?.into(),
            saga: SagaId(self.runtime.new_uuid()),
            causation: self.runtime.new_uuid().to_string(),
            time: self.runtime.clock.now(),
            trace: None,
            published: Some(Published {
                lane: Lane(lane.0),
                lane_seq: self.heads[lane.0 as usize],
                key: key.into(),
            }),
        })
    }

    async fn close(self, context: &Context) -> Result<()> {
        ensure!(self.running.shutdown(Duration::from_secs(30)).await, "it did not drain");
        context.grounds.drop_database(&self.database).await
    }
}
