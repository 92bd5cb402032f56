//! The four services on real PostgreSQL and Kafka, with the driver in the order service.

mod child;
mod drive;
mod ends;
mod orders;
mod tune;
mod watched;

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use inventory::Inventory;
use order::Orders;
use payment::Payment;
use quadrille::{
    Service,
    engine::{Client, Config, Engine, Limits, Running},
    store::{HeldState, postgres::PostgresStore},
};
use shipping::Shipping;

pub(crate) use self::tune::kafka_from_environment as tune_kafka;
pub(crate) use child::Children;
pub use child::child;
pub(crate) use drive::{Driver, Latencies};
pub(crate) use ends::Ends;
pub(crate) use orders::{ACCOUNTS, Market, PLENTY, command, euros, order_id};
use watched::Watched;

use crate::{
    context::Context,
    grounds::{Database, kafka_config},
};

/// Partitions of each service's topic, for the toolkit and for the hand-written loops.
pub(crate) const LANES: u32 = 4;
pub(crate) const SERVICES: [&str; 4] = ["order", "payment", "inventory", "shipping"];
const DRAIN_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) market: Market,
    /// The other three services are processes of their own.
    pub(crate) processes: bool,
    /// Changes the engines' limits.
    pub(crate) limits: fn(&mut Limits),
}

impl Default for Setup {
    fn default() -> Self {
        Self { market: Market::default(), processes: false, limits: |_| {} }
    }
}

/// Databases and topics of four services.
#[derive(Clone, Debug)]
pub(crate) struct Homes {
    pub(crate) namespace: String,
    pub(crate) kafka: String,
    databases: Vec<Database>,
}

impl Homes {
    pub(crate) async fn make(context: &Context) -> Result<Self> {
        let grounds = &context.grounds;
        let mut databases = vec![];
        for _ in SERVICES {
            databases.push(grounds.database().await?);
        }
        let (namespace, kafka) = (grounds.name(), grounds.kafka.clone());
        Ok(Self { namespace, kafka, databases })
    }

    pub(crate) fn url(&self, service: &str) -> &str {
        let n = SERVICES.iter().position(|name| *name == service).unwrap_or_default();
        &self.databases[n].url
    }

    pub(crate) fn topic(&self, service: &str) -> String {
        format!("{}.{service}.events", self.namespace)
    }

    pub(crate) async fn remove(&self, context: &Context) -> Result<()> {
        context.grounds.drop_topics(&SERVICES.map(|service| self.topic(service))).await?;
        for database in &self.databases {
            context.grounds.drop_database(database).await?;
        }
        Ok(())
    }
}

/// The four services at work.
pub(crate) struct Stage {
    homes: Homes,
    orders: Running<Orders>,
    others: Others,
    pub(crate) ends: Arc<Ends>,
    pub(crate) market: Market,
}

enum Others {
    Here(Box<(Running<Payment>, Running<Inventory>, Running<Shipping>)>),
    Children(Children),
}

impl Stage {
    /// Starts the services and fills accounts and stock.
    pub(crate) async fn open(context: &Context, setup: Setup) -> Result<Self> {
        let homes = Homes::make(context).await?;
        let ends = Arc::new(Ends::default());
        let orders = start(Orders, &homes, setup.limits, Some(ends.clone())).await?;
        let others = if setup.processes {
            Others::Children(Children::start(&homes, setup.market).await?)
        } else {
            let payments = start(Payment::default(), &homes, setup.limits, None).await?;
            setup.market.fund(&payments.client()).await?;
            let stock = start(Inventory, &homes, setup.limits, None).await?;
            setup.market.fill(&stock.client()).await?;
            let shipments = start(Shipping::default(), &homes, setup.limits, None).await?;
            Others::Here(Box::new((payments, stock, shipments)))
        };
        Ok(Self { homes, orders, others, ends, market: setup.market })
    }

    pub(crate) fn orders(&self) -> Client<Orders> {
        self.orders.client()
    }

    /// A driver that places orders.
    pub(crate) fn driver(&self) -> Driver {
        Driver::new(self.ends.clone())
    }

    /// Places order `n`.
    pub(crate) async fn place(&self, n: u64) -> Result<()> {
        let (id, order) = command(self.market, n)?;
        let placed = self.orders.client().execute(&id, order).await?;
        placed.map(drop).map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
    }

    /// Drains all, and removes what was made. A run in which something was held or lost counts for nothing.
    pub(crate) async fn close(self, context: &Context) -> Result<()> {
        ensure!(
            self.ends.all_ended(),
            "{} orders were begun, {} concluded",
            self.ends.begun(),
            self.ends.ended()
        );
        for state in [HeldState::Parked, HeldState::Dead] {
            let held = self.orders().held(state, 10).await?;
            ensure!(held.is_empty(), "messages are held: {held:?}");
        }
        let drained = self.orders.shutdown(DRAIN_WITHIN).await;
        let others = match self.others {
            Others::Here(others) => {
                let (payments, stock, shipments) = *others;
                let (a, b, c) = tokio::join!(
                    payments.shutdown(DRAIN_WITHIN),
                    stock.shutdown(DRAIN_WITHIN),
                    shipments.shutdown(DRAIN_WITHIN)
                );
                a && b && c
            }
            Others::Children(children) => children.end().await?,
        };
        ensure!(drained && others, "a service did not drain");
        self.homes.remove(context).await
    }
}

fn config(namespace: &str, limits: fn(&mut Limits)) -> Config {
    let mut config = Config::new(namespace);
    config.lanes = LANES;
    config.instance = Some("bench".to_owned());
    limits(&mut config.limits);
    tune::from_environment(&mut config);
    config
}

/// Starts one service in this process.
async fn start<S: Service>(
    service: S,
    homes: &Homes,
    limits: fn(&mut Limits),
    ends: Option<Arc<Ends>>,
) -> Result<Running<S>> {
    let place = Place { namespace: &homes.namespace, kafka: &homes.kafka, url: homes.url(S::NAME) };
    start_at(service, place, limits, ends).await
}

/// Where one service is at home.
struct Place<'a> {
    namespace: &'a str,
    kafka: &'a str,
    url: &'a str,
}

async fn start_at<S: Service>(
    service: S,
    place: Place<'_>,
    limits: fn(&mut Limits),
    ends: Option<Arc<Ends>>,
) -> Result<Running<S>> {
    let store: Arc<dyn quadrille::store::EventStore> =
        Arc::new(PostgresStore::connect(place.url).await?);
    let store = match ends {
        Some(ends) => Arc::new(Watched { store, ends }),
        None => store,
    };
    let log = Arc::new(quadrille::log::kafka::KafkaLog::new(kafka_config(place.kafka))?);
    Engine::new(service, store, log, config(place.namespace, limits))
        .start()
        .await
        .with_context(|| format!("cannot start {}", S::NAME))
}
