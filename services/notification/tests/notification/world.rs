//! The story and notification beside it, in one process.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request},
};
use inventory::{Inventory, SetStock};
use notification::{ATTEMPT_TIMEOUT, History, Merchant, Notifications, State};
use order::{CancelOrder, Order, Orders, PlaceOrder, Status};
use payment::{Payment, SetFunds};
use quadrille::{
    effect::Schedule,
    log::memory::MemoryLog,
    runtime::{Clock as _, Runtime},
    store::{EventStore, memory::MemoryStore, sqlite::SqliteStore},
};
use schemas::{CancellationReason, Money, OrderId, OrderLine, OrderLines};
use serde_json::Value;
use shipping::Shipping;
use tower::ServiceExt as _;

use crate::{
    instance::{Ahead, Instance},
    receiver::Receiver,
};

/// Far more than anything here takes; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct World {
    pub receiver: Receiver,
    pub clock: Arc<Ahead>,
    schedule: Schedule,
    /// Of one try.
    pub timeout: Duration,
    log: MemoryLog,
    store: Arc<dyn EventStore>,
    folder: Option<PathBuf>,
    notification: Option<Instance<Notifications>>,
    pub order: Instance<Orders>,
    payment: Option<Instance<Payment>>,
    inventory: Instance<Inventory>,
    shipping: Instance<Shipping>,
}

impl World {
    /// All five are at work; there is no tea and no money.
    pub async fn open(receiver: Receiver, schedule: Schedule) -> Self {
        let clock = Arc::new(Ahead::default());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let mut world = Self::closed(receiver, schedule, clock, store).await;
        world.start_payment().await;
        world.start().await;
        world
    }

    /// As [`open`](Self::open), with notification's store in a SQLite file.
    pub async fn open_on_sqlite(receiver: Receiver, schedule: Schedule) -> Self {
        let name = format!("quadrille-notification-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let store = Arc::new(SqliteStore::open(folder.join("notification.db")).await.unwrap());
        let mut world = Self::closed(receiver, schedule, Arc::default(), store).await;
        world.folder = Some(folder);
        world.start_payment().await;
        world.start().await;
        world
    }

    /// Payment and notification are not at work yet.
    pub async fn half_open(receiver: Receiver, schedule: Schedule) -> Self {
        let clock = Arc::new(Ahead::default());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self::closed(receiver, schedule, clock, store).await
    }

    async fn closed(
        receiver: Receiver,
        schedule: Schedule,
        clock: Arc<Ahead>,
        store: Arc<dyn EventStore>,
    ) -> Self {
        let log = MemoryLog::default();
        let wall = Runtime::tokio().clock;
        let fresh = || Arc::new(MemoryStore::new(Runtime::tokio().clock));
        Self {
            order: Instance::start(Orders, fresh(), &log, wall.clone()).await,
            payment: None,
            inventory: Instance::start(Inventory, fresh(), &log, wall.clone()).await,
            shipping: Instance::start(Shipping::default(), fresh(), &log, wall).await,
            notification: None,
            receiver,
            clock,
            schedule,
            timeout: ATTEMPT_TIMEOUT,
            log,
            store,
            folder: None,
        }
    }

    pub async fn start_payment(&mut self) {
        let store = Arc::new(MemoryStore::new(Runtime::tokio().clock));
        let wall = Runtime::tokio().clock;
        self.payment = Some(Instance::start(Payment::default(), store, &self.log, wall).await);
    }

    /// Notification starts, on what is in its store.
    pub async fn start(&mut self) {
        let runtime = Runtime { clock: self.clock.clone(), ..Runtime::tokio() };
        let merchant = Merchant::at(self.receiver.endpoint())
            .schedule(self.schedule.clone())
            .timeout(self.timeout)
            .runtime(runtime);
        let (store, log) = (self.store.clone(), self.log.clone());
        let service = Notifications { merchant };
        self.notification = Some(Instance::start(service, store, &log, self.clock.clone()).await);
    }

    pub async fn kill(&mut self) {
        self.notification.take().expect("it is at work").kill().await;
    }

    pub fn notification(&self) -> &Instance<Notifications> {
        self.notification.as_ref().expect("it is at work")
    }

    /// There are money and tea for that many orders.
    pub async fn supply(&self, orders: u32) {
        let funds = SetFunds { funds: eur(u64::from(orders) * 150) };
        let payment = self.payment.as_ref().expect("it is at work");
        let account = "a-1".parse().unwrap();
        payment.client.execute(&account, funds).await.unwrap().unwrap();
        let stock = SetStock { available: orders.into() };
        self.inventory.client.execute(&"tea".parse().unwrap(), stock).await.unwrap().unwrap();
    }

    /// Places an order; without money it fails.
    pub async fn place(&self, id: &str, finish_within: Duration) -> OrderId {
        let order: OrderId = id.parse().unwrap();
        let line = OrderLine {
            sku: "tea".parse().unwrap(),
            quantity: 1.try_into().unwrap(),
            price: eur(150),
        };
        let place = PlaceOrder {
            order: order.clone(),
            customer: "c-1".parse().unwrap(),
            account: "a-1".parse().unwrap(),
            lines: OrderLines::try_from(vec![line]).unwrap(),
            destination: "FR".parse().unwrap(),
            finish_within,
        };
        self.order.client.execute(&order, place).await.unwrap().unwrap();
        order
    }

    /// Places an order that fails, because nobody has opened its account.
    pub async fn fail(&self, id: &str) -> OrderId {
        let order = self.place(id, DEADLINE).await;
        self.wait_for_end(&order, Status::Failed).await;
        order
    }

    pub async fn cancel(&self, order: &OrderId) {
        let cancel = CancelOrder { reason: CancellationReason::Customer };
        self.order.client.execute(order, cancel).await.unwrap().unwrap();
    }

    pub async fn wait_for_end(&self, order: &OrderId, status: Status) {
        wait("the end of the order", async || {
            let order = self.order.client.load::<Order>(order).await.unwrap()?;
            (order.status() == Some(status)).then_some(())
        })
        .await;
    }

    /// The history of the notification, once it is as it should be.
    pub async fn history(&self, order: &OrderId, good: impl Fn(&History) -> bool) -> History {
        let client = self.notification().client.clone();
        wait("the notification", async || {
            History::read(&client, order).await.unwrap().filter(|history| good(history))
        })
        .await
    }

    /// Lets time pass until the notification has an end, one pause after the other.
    pub async fn let_it_end(&self, order: &OrderId) -> History {
        let mut seen = 0;
        loop {
            let history =
                self.history(order, |h| h.tries.len() > seen || h.state != State::Pending).await;
            match history.next_at {
                Some(at) => self.clock.put_forward(at),
                None if history.state != State::Pending => return history,
                None => {}
            }
            seen = history.tries.len();
        }
    }

    pub async fn request(&self, method: Method, path: &str, key: Option<&str>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let router = notification::router(self.notification().client.clone());
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn close(self) {
        let Self { order, payment, inventory, shipping, notification, folder, .. } = self;
        order.shutdown().await;
        inventory.shutdown().await;
        shipping.shutdown().await;
        if let Some(payment) = payment {
            payment.shutdown().await;
        }
        if let Some(notification) = notification {
            notification.shutdown().await;
        }
        if let Some(folder) = folder {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    /// The time of notification's clock, in seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.clock.now().0.div_euclid(1_000_000)
    }
}

fn eur(minor: u64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

/// Asks until there is an answer.
pub async fn wait<T, F>(what: &str, ask: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            match ask().await {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what} is not as it should be after {DEADLINE:?}"),
    }
}
