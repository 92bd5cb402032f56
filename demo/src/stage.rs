//! The stage: four services, each on its own SQLite file, and one log in memory between them.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use inventory::Inventory;
use notification::Notifications;
use order::Orders;
use payment::Payment;
use quadrille::{
    Service,
    engine::{Client, Config, Engine, Running},
    log::memory::{MemoryLog, MemoryLogOptions},
    store::{AgendaQuery, EventStore, HeldState, sqlite::SqliteStore},
};
use shipping::Shipping;

use crate::{merchant::Merchant, till::Till};

/// The partitions of each service's topic.
const LANES: u32 = 4;
/// Records of a partition that the log keeps after all services have applied them.
const RECORDS_KEPT: usize = 50_000;
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    orders: Running<Orders>,
    payments: Running<Payment>,
    stock: Running<Inventory>,
    shipments: Running<Shipping>,
    /// Where a merchant is told of the ends.
    notifications: Option<Running<Notifications>>,
    pub(crate) stores: Vec<(&'static str, Arc<dyn EventStore>)>,
    /// Who has the accounts, when it is not payment itself.
    pub(crate) till: Option<Till>,
    pub(crate) payment: Payment,
}

impl Stage {
    /// Opens the stores in `folder`, one a service, and starts the services.
    pub(crate) async fn open(
        folder: &Path,
        till: Option<Till>,
        merchant: Option<&Merchant>,
    ) -> Result<Self> {
        let payment = match &till {
            Some(till) => till.payment()?,
            None => Payment::default(),
        };
        let log = Arc::new(MemoryLog::new(MemoryLogOptions {
            trim_beyond: Some(RECORDS_KEPT),
            ..MemoryLogOptions::default()
        }));
        let mut stores = vec![];
        let stage = Self {
            orders: start(Orders, folder, &log, &mut stores).await?,
            payments: start(payment.clone(), folder, &log, &mut stores).await?,
            stock: start(Inventory, folder, &log, &mut stores).await?,
            shipments: start(Shipping::default(), folder, &log, &mut stores).await?,
            notifications: match merchant {
                Some(merchant) => {
                    Some(start(merchant.notifications()?, folder, &log, &mut stores).await?)
                }
                None => None,
            },
            stores,
            till,
            payment,
        };
        Ok(stage)
    }

    pub(crate) fn orders(&self) -> Client<Orders> {
        self.orders.client()
    }

    pub(crate) fn payments(&self) -> Client<Payment> {
        self.payments.client()
    }

    pub(crate) fn stock(&self) -> Client<Inventory> {
        self.stock.client()
    }

    pub(crate) fn shipments(&self) -> Client<Shipping> {
        self.shipments.client()
    }

    pub(crate) fn notifications(&self) -> Option<Client<Notifications>> {
        self.notifications.as_ref().map(Running::client)
    }

    /// Why some service cannot do its work, if one cannot.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let notifications = self.notifications().map(|it| (Notifications::NAME, it.health()));
        let healths = [
            (Orders::NAME, self.orders().health()),
            (Payment::NAME, self.payments().health()),
            (Inventory::NAME, self.stock().health()),
            (Shipping::NAME, self.shipments().health()),
        ];
        healths
            .into_iter()
            .chain(notifications)
            .flat_map(|(name, health)| {
                health.reasons.into_iter().map(move |reason| format!("{name}: {reason}"))
            })
            .collect()
    }

    /// Whether nothing is unread, parked or dead anywhere, and no deadline and no effect is pending.
    pub(crate) async fn is_quiet(&self) -> Result<bool> {
        let mut heads = std::collections::HashMap::new();
        for (name, store) in &self.stores {
            for (lane, head) in (0u32..).zip(store.lane_heads().await?) {
                heads.insert((topic(name), lane), head);
            }
        }
        for (_, store) in &self.stores {
            for (source, position) in store.positions().await? {
                let head = heads.get(&(source.topic.to_string(), source.lane.0));
                if head != Some(&position.last_seq) {
                    return Ok(false);
                }
            }
        }
        Ok(self.held().await? == 0 && self.pending().await? == 0)
    }

    /// How many deadlines and effects are pending, or wait for a person; counted up to a thousand each service.
    pub(crate) async fn pending(&self) -> Result<usize> {
        let mut pending = 0;
        for (_, store) in &self.stores {
            let query = AgendaQuery { limit: 1_000, ..AgendaQuery::default() };
            pending += store.agenda(&query).await?.len();
        }
        Ok(pending)
    }

    /// How many messages are parked, waiting or dead; counted up to a thousand each.
    pub(crate) async fn held(&self) -> Result<usize> {
        let mut held = 0;
        for (_, store) in &self.stores {
            for state in [HeldState::Parked, HeldState::Waiting, HeldState::Dead] {
                held += store.held_in(state, 1_000).await?.len();
            }
        }
        Ok(held)
    }

    /// Drains all. True when all of them finished in time.
    pub(crate) async fn close(self) -> bool {
        let told = async {
            match self.notifications {
                Some(notifications) => notifications.shutdown(DRAIN_WITHIN).await,
                None => true,
            }
        };
        let (a, b, c, d, e) = tokio::join!(
            self.orders.shutdown(DRAIN_WITHIN),
            self.payments.shutdown(DRAIN_WITHIN),
            self.stock.shutdown(DRAIN_WITHIN),
            self.shipments.shutdown(DRAIN_WITHIN),
            told,
        );
        a && b && c && d && e
    }
}

fn config() -> Config {
    let mut config = Config::new("demo");
    config.lanes = LANES;
    // One process has the files: after a kill, the next one is this one again.
    config.instance = Some("demo".to_owned());
    config
}

fn topic(service: &str) -> String {
    config().topic_of(service)
}

async fn start<S: Service>(
    service: S,
    folder: &Path,
    log: &Arc<MemoryLog>,
    stores: &mut Vec<(&'static str, Arc<dyn EventStore>)>,
) -> Result<Running<S>> {
    let file = folder.join(format!("{}.db", S::NAME));
    let store = SqliteStore::open(&file)
        .await
        .with_context(|| format!("cannot open {}", file.display()))?;
    let store: Arc<dyn EventStore> = Arc::new(store);
    stores.push((S::NAME, store.clone()));
    Engine::new(service, store, log.clone(), config())
        .start()
        .await
        .with_context(|| format!("cannot start {}", S::NAME))
}
