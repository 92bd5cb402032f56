//! Four hand-written loops, with the driver beside the order's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use quadrille::{
    engine::Limits,
    log::{EventLog as _, TopicSpec},
};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    business::{Business, Inventory, Orders, Payment, Shipping},
    consumer, relay,
    service::{Place, Service, Work},
    sql::{Batch, Event, Writer},
};
use crate::{
    context::Context,
    stage::{ACCOUNTS, Driver, Ends, Homes, LANES, Market, PLENTY, SERVICES, command},
};

const COMMANDS_MAX: usize = 4_096;

/// The four loops at work.
pub(crate) struct RawStack {
    homes: Homes,
    commands: mpsc::Sender<Work>,
    ends: Arc<Ends>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<()>>>,
    market: Market,
}

impl RawStack {
    pub(crate) async fn open(context: &Context, market: Market) -> Result<Self> {
        let homes = Homes::make(context).await?;
        let log = context.grounds.log()?;
        for service in SERVICES {
            let name = homes.topic(service).into();
            log.ensure_topic(&TopicSpec { name, lanes: LANES, record_bytes_max: 600_000 }).await?;
        }
        let (ends, stop) = (Arc::new(Ends::default()), Arc::new(AtomicBool::new(false)));
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let accounts = accounts()?;
        let stock = (0..market.skus).map(|n| Ok((market.sku(n)?.to_string(), PLENTY)));
        let stock: Vec<(String, u64)> = stock.collect::<Result<_>>()?;
        let mut stack = Self { homes, commands, ends, stop, tasks: vec![], market };
        stack.start(Orders::default(), &[], orders).await?;
        let payment = Payment::with(accounts.iter().cloned());
        stack.start(payment, &opened("account", &accounts), mpsc::channel(1).1).await?;
        let inventory = Inventory::with(stock.iter().cloned());
        stack.start(inventory, &opened("stock", &stock), mpsc::channel(1).1).await?;
        stack.start(Shipping, &[], mpsc::channel(1).1).await?;
        Ok(stack)
    }

    async fn start<B: Business>(
        &mut self,
        business: B,
        opened: &[Event],
        commands: mpsc::Receiver<Work>,
    ) -> Result<()> {
        let topics: Vec<String> =
            B::SOURCES.iter().map(|source| self.homes.topic(source)).collect();
        prepare(self.homes.url(B::NAME), &topics, opened).await?;
        let (kafka, topic) = (self.homes.kafka.clone(), self.homes.topic(B::NAME));
        let relay = tokio::task::block_in_place(|| relay::start(&kafka, B::NAME, &topic, &topic))?;
        let place = Place {
            writer: Writer::connect(self.homes.url(B::NAME)).await?,
            reader: Writer::connect(self.homes.url(B::NAME)).await?,
            messages: consumer::start(&kafka, &topics, i32::try_from(LANES)?, self.stop.clone())?,
            topics,
            lanes: LANES,
            relay: Some(relay),
            works_max: Limits::default().batch_works_max,
        };
        let service = Service::new(business, place, commands, self.ends.clone());
        self.tasks.push(tokio::spawn(service.run(|_| {})));
        Ok(())
    }

    pub(crate) fn driver(&self) -> Driver {
        Driver::new(self.ends.clone())
    }

    /// Places order `n`.
    pub(crate) async fn place(&self, n: u64) -> Result<()> {
        let (_, command) = command(self.market, n)?;
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(Work { command, answer })
            .await
            .ok()
            .context("the order's loop is gone")?;
        answered.await.context("the order's loop is gone")
    }

    /// Ends all, and removes what was made.
    pub(crate) async fn close(self, context: &Context) -> Result<()> {
        ensure!(self.ends.all_ended(), "not all orders were concluded");
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.abort();
            match task.await {
                Err(error) if error.is_cancelled() => {}
                other => other??,
            }
        }
        self.homes.remove(context).await
    }
}

/// All accounts, and what each has.
pub(crate) fn accounts() -> Result<Vec<(String, u64)>> {
    (0..ACCOUNTS).map(|n| Ok((Market::account(n)?.to_string(), PLENTY))).collect()
}

/// The first event of each stream.
pub(crate) fn opened(category: &str, all: &[(String, u64)]) -> Vec<Event> {
    let event = |(name, amount): &(String, u64)| Event {
        version: 1,
        time: 0,
        lane: None,
        id: uuid::Uuid::nil(),
        saga: uuid::Uuid::nil(),
        stream: format!("{category}/{name}"),
        event_type: "opened",
        causation: "setup".into(),
        key: None,
        trace: None,
        payload: amount.to_string().into_bytes(),
    };
    all.iter().map(event).collect()
}

/// Rows that must be there before the first append.
pub(crate) async fn prepare(url: &str, topics: &[String], opened: &[Event]) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let lanes = i32::try_from(LANES)?;
    sqlx::query("INSERT INTO lanes SELECT lane, 0 FROM generate_series(0, $1 - 1) lane")
        .bind(lanes)
        .execute(&mut connection)
        .await?;
    sqlx::query(
        "INSERT INTO positions (topic, lane, epoch, last_seq, next_offset, start, consumes)
         SELECT topic, lane, 1, 0, 0, 'first', '{}' FROM unnest($1::text[]) topic, generate_series(0, $2 - 1) lane",
    )
    .bind(topics)
    .bind(lanes)
    .execute(&mut connection)
    .await?;
    let batch = Batch { cause: uuid::Uuid::nil(), events: opened.to_vec(), ..Batch::default() };
    Writer::connect(url).await?.append(&batch).await?;
    Ok(())
}
