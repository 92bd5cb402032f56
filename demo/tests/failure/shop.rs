//! The shop: four services, a log between them, and a payment gateway on loopback.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use demo::audit::{Audit, Books, Law};
use gateway::{Amount, Office, Serving, Trouble};
use inventory::{Inventory, SetStock};
use order::{CancelOrder, Order, Orders, PlaceOrder, Status};
use payment::{Gateway, Payment};
use quadrille::{
    Service,
    effect::Schedule,
    engine::{Config, RetryPolicy},
    id::Lane,
    log::memory::MemoryLog,
    runtime::{BoxFuture, Clock, Runtime, Timestamp},
    store::{
        AgendaItem, AgendaQuery, EventStore, HeldState, RecordedEvent, memory::MemoryStore,
        sqlite::SqliteStore,
    },
};
use schemas::{CancellationReason, Money, OrderId, OrderLine};
use shipping::Shipping;

use crate::instance::Instance;

/// Far more than anything here takes; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long payment waits for the gateway before the outcome counts as unknown.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_millis(100);
pub(crate) const LANES: u32 = 2;
pub(crate) const FUNDS: u64 = 1_000_000;
pub(crate) const PRICE: u64 = 150;
pub(crate) const STOCK: u64 = 1_000;
const SERVICES: [&str; 4] = [Orders::NAME, Payment::NAME, Inventory::NAME, Shipping::NAME];

pub(crate) struct Shop {
    pub(crate) office: Office,
    /// Where the gateway is, and the gateway while it is there.
    address: SocketAddr,
    serving: Option<Serving>,
    pub(crate) log: MemoryLog,
    clock: Arc<Ahead>,
    folder: Option<Folder>,
    stores: BTreeMap<&'static str, Arc<dyn EventStore>>,
    order: Option<Instance<Orders>>,
    payment: Option<Instance<Payment>>,
    inventory: Option<Instance<Inventory>>,
    shipping: Option<Instance<Shipping>>,
}

impl Shop {
    /// Nobody is at work yet. Ann has an account with [`FUNDS`].
    pub(crate) async fn closed() -> Self {
        let office = Office::in_memory();
        let serving = gateway::serve(office.clone(), SocketAddr::from(([127, 0, 0, 1], 0)));
        let serving = serving.await.expect("the gateway listens");
        let (address, serving) = (serving.address(), Some(serving));
        office.set_funds("ann", eur(FUNDS)).await.expect("an account");
        let clock = Arc::new(Ahead::default());
        let store = || Arc::new(MemoryStore::new(clock.clone())) as Arc<dyn EventStore>;
        let stores = SERVICES.map(|service| (service, store())).into();
        let folder = None;
        let log = MemoryLog::default();
        let (order, payment, inventory, shipping) = (None, None, None, None);
        Self {
            office,
            address,
            serving,
            log,
            clock,
            folder,
            stores,
            order,
            payment,
            inventory,
            shipping,
        }
    }

    /// All four are at work, and there is tea.
    pub(crate) async fn open() -> Self {
        Self::closed().await.opened().await
    }

    /// As [`open`](Self::open), on SQLite files.
    pub(crate) async fn open_on_sqlite() -> Self {
        static NEXT: AtomicI64 = AtomicI64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quadrille-failure-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut shop = Self::closed().await;
        for (service, store) in &mut shop.stores {
            let file = folder.join(format!("{service}.db"));
            *store = Arc::new(SqliteStore::open(&file).await.expect("a store"));
        }
        shop.folder = Some(Folder(folder));
        shop.opened().await
    }

    async fn opened(self) -> Self {
        let mut shop = self;
        shop.order = Some(shop.start(Orders).await);
        shop.inventory = Some(shop.start(Inventory).await);
        shop.shipping = Some(shop.start(Shipping::default()).await);
        shop.start_payment().await;
        shop.put("tea", STOCK).await;
        shop
    }

    async fn start<S: Service>(&self, service: S) -> Instance<S> {
        self.start_with(service, |_| {}).await
    }

    async fn start_with<S: Service>(
        &self,
        service: S,
        adapt: impl FnOnce(&mut Config),
    ) -> Instance<S> {
        let mut config = config(S::NAME);
        adapt(&mut config);
        Instance::start(service, self.stores[S::NAME].clone(), &self.log, config).await
    }

    pub(crate) async fn start_payment(&mut self) {
        let gateway: Gateway = format!("http://{}", self.address).parse().expect("an address");
        let mut tries = RetryPolicy::default();
        (tries.delay_first, tries.delay_max) =
            (Duration::from_millis(2), Duration::from_millis(20));
        (tries.attempts_max, tries.total_max) = (10_000, DEADLINE);
        let gateway = gateway.timeout(CALL_TIMEOUT).schedule(Schedule::Backoff(tries));
        self.payment = Some(self.start(Payment::through(gateway)).await);
    }

    /// As `kill -9`. What it had claimed is up for others at once in memory; on SQLite, when the claim
    /// has expired.
    pub(crate) async fn kill_payment(&mut self) {
        self.payment.take().expect("payment runs").kill().await;
        self.clock.0.fetch_add(3_600_000_000, Ordering::Relaxed);
    }

    /// Its connections break, and new ones are refused. It forgets nothing.
    pub(crate) fn gateway_goes(&mut self) {
        self.serving = None;
    }

    pub(crate) async fn gateway_comes_back(&mut self) {
        let serving = gateway::serve(self.office.clone(), self.address).await;
        self.serving = Some(serving.expect("the address is free again"));
    }

    pub(crate) async fn kill_orders(&mut self) {
        self.order.take().expect("order runs").kill().await;
        self.clock.0.fetch_add(3_600_000_000, Ordering::Relaxed);
    }

    pub(crate) async fn start_orders(&mut self) {
        self.order = Some(self.start(Orders).await);
    }

    pub(crate) async fn close(self) {
        tokio::join!(
            shutdown(self.order),
            shutdown(self.payment),
            shutdown(self.inventory),
            shutdown(self.shipping),
        );
    }

    pub(crate) fn payment(&self) -> &quadrille::engine::Client<Payment> {
        &self.payment.as_ref().expect("payment runs").client
    }

    pub(crate) fn orders(&self) -> &quadrille::engine::Client<Orders> {
        &self.order.as_ref().expect("order runs").client
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.office.set_trouble(trouble).expect("shares that make sense");
    }

    pub(crate) async fn put(&self, sku: &str, available: u64) {
        let inventory = &self.inventory.as_ref().expect("inventory runs").client;
        let stocked = inventory.execute(&sku.parse().unwrap(), SetStock { available }).await;
        let _ = stocked.expect("an answer").expect("stock");
    }

    /// One tea for Ann.
    pub(crate) async fn place(&self, order: &str, finish_within: Duration) {
        let line = OrderLine {
            sku: "tea".parse().unwrap(),
            quantity: 1.try_into().unwrap(),
            price: Money::new(PRICE, "EUR".parse().unwrap()).unwrap(),
        };
        let order: OrderId = order.parse().unwrap();
        let place = PlaceOrder {
            order: order.clone(),
            customer: "ann".parse().unwrap(),
            account: "ann".parse().unwrap(),
            lines: vec![line].try_into().unwrap(),
            destination: "NL".parse().unwrap(),
            finish_within,
        };
        let _ = self.orders().execute(&order, place).await.expect("an answer").expect("an order");
    }

    pub(crate) async fn cancel(&self, order: &str) {
        let wish = CancelOrder { reason: CancellationReason::Customer };
        let asked = self.orders().execute(&order.parse().unwrap(), wish).await;
        let _ = asked.expect("an answer").expect("it has not ended");
    }

    pub(crate) async fn status(&self, order: &str) -> Option<Status> {
        let order = self.orders().load::<Order>(&order.parse().unwrap()).await;
        order.expect("an answer").and_then(|order| order.status())
    }

    /// Waits until an order stands so.
    pub(crate) async fn until_status(&self, order: &str, status: Status) {
        until(&format!("{order} is {status}"), || async {
            self.status(order).await == Some(status)
        })
        .await;
    }

    /// What is pending or dead on all agendas.
    pub(crate) async fn agenda(&self) -> Vec<AgendaItem> {
        let mut items = vec![];
        for store in self.stores.values() {
            let query = AgendaQuery { limit: 10_000, ..AgendaQuery::default() };
            items.extend(store.agenda(&query).await.expect("the store answers"));
        }
        items
    }

    /// Nothing is unread, parked or dead, and no deadline and no effect is pending.
    pub(crate) async fn is_quiet(&self) -> bool {
        let mut heads = BTreeMap::new();
        for (service, store) in &self.stores {
            let topic = config(service).topic_of(service);
            for (lane, head) in (0u32..).zip(store.lane_heads().await.unwrap()) {
                heads.insert((topic.clone(), lane), head);
            }
        }
        for store in self.stores.values() {
            for (source, position) in store.positions().await.unwrap() {
                let head = heads.get(&(source.topic.to_string(), source.lane.0));
                if head.is_some_and(|head| position.last_seq < *head) {
                    return false;
                }
            }
            for state in [HeldState::Parked, HeldState::Waiting, HeldState::Dead] {
                if !store.held_in(state, 1).await.unwrap().is_empty() {
                    return false;
                }
            }
        }
        self.agenda().await.is_empty()
    }

    /// Whether payment has applied so many events of each lane.
    pub(crate) async fn payment_has_read(&self, said: &[(String, Lane, u64)]) -> bool {
        let positions = self.stores[Payment::NAME].positions().await.unwrap();
        said.iter().all(|(topic, lane, last)| {
            positions.iter().any(|(source, position)| {
                *source.topic == **topic && source.lane == *lane && position.last_seq == *last
            })
        })
    }

    pub(crate) async fn until_quiet(&self) {
        until("quiet", || self.is_quiet()).await;
    }

    /// Every public event of all services.
    pub(crate) async fn events(&self) -> Vec<RecordedEvent> {
        let mut events = vec![];
        for store in self.stores.values() {
            for (lane, head) in (0u32..).zip(store.lane_heads().await.unwrap()) {
                let lane = Lane(lane);
                let mut read = 0;
                while read < head {
                    let next = store.read_lane(lane, read, 1_000).await.unwrap();
                    read += next.len() as u64;
                    events.extend(next);
                }
            }
        }
        events
    }

    /// How often something was stated.
    pub(crate) async fn stated(&self, event_type: &str) -> usize {
        self.events().await.iter().filter(|event| &*event.event_type == event_type).count()
    }

    /// The laws, with the gateway's books beside the services' events. All must hold.
    pub(crate) async fn audit(&self, stock: Vec<(u64, u64, u64, u64)>) -> Audit {
        let mut audit = Audit::default();
        for event in self.events().await {
            audit.note(&event).expect("readable events");
        }
        let money = self.office.totals().money["EUR"];
        let books = Books { captured: money.charged, refunded: money.refunded, stock };
        let broken: Vec<Law> = audit.laws(&books).into_iter().filter(|law| !law.holds()).collect();
        assert!(broken.is_empty(), "{broken:?}");
        assert_eq!(self.office.totals().references_charged_twice, 0);
        audit
    }

    pub(crate) async fn stock(&self, sku: &str, put: u64) -> (u64, u64, u64, u64) {
        let inventory = &self.inventory.as_ref().expect("inventory runs").client;
        let stock = inventory.load::<inventory::Stock>(&sku.parse().unwrap()).await;
        let stock = stock.expect("an answer").unwrap_or_default();
        (put, stock.available, stock.reserved, stock.shipped)
    }

    /// The laws, when there was only tea.
    pub(crate) async fn audit_tea(&self) -> Audit {
        self.audit(vec![self.stock("tea", STOCK).await]).await
    }
}

async fn shutdown<S: Service>(instance: Option<Instance<S>>) {
    if let Some(instance) = instance {
        instance.shutdown().await;
    }
}

pub(crate) fn config(service: &str) -> Config {
    let mut config = Config::new("t");
    config.lanes = LANES;
    config.instance = Some(service.to_owned());
    config.limits.agenda_poll_every = Duration::from_millis(5);
    config.limits.relay_poll_every = Duration::from_millis(5);
    config
}

pub(crate) fn eur(minor: u64) -> Amount {
    Amount { minor, currency: "EUR".to_owned() }
}

/// Waits for a condition.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "not in {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Goes when the test ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The stores' clock: ahead of everyone's.
#[derive(Debug, Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(Runtime::tokio().clock.now().0 + self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
