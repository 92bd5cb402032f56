//! The four services in one process, each on its own SQLite file, exporting their spans.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use inventory::Inventory;
use order::Orders;
use payment::Payment;
use quadrille::{
    Service,
    engine::{Config, Engine, Running},
    log::memory::MemoryLog,
    store::{EventStore, sqlite::SqliteStore},
    telemetry::{
        Traces,
        otlp::{OtlpSettings, OtlpTraces},
    },
};
use serde_json::{Value, json};
use shipping::Shipping;
use tower::ServiceExt as _;

const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Shop {
    order: Running<Orders>,
    payment: Running<Payment>,
    inventory: Running<Inventory>,
    shipping: Running<Shipping>,
    routers: [(&'static str, Router); 4],
    pub(crate) stores: Vec<(&'static str, Arc<dyn EventStore>)>,
    spans: Vec<Arc<OtlpTraces>>,
    _folder: Folder,
}

/// Removed in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What they share while they start.
struct Opening<'a> {
    endpoint: &'a str,
    folder: PathBuf,
    log: MemoryLog,
    stores: Vec<(&'static str, Arc<dyn EventStore>)>,
    spans: Vec<Arc<OtlpTraces>>,
}

impl Opening<'_> {
    async fn start<S: Service>(&mut self, service: S) -> Running<S> {
        let spans = OtlpTraces::start(&OtlpSettings::new(self.endpoint), S::NAME).unwrap();
        let mut config = Config::new("shop");
        config.traces = Traces::to(spans.clone());
        let file = self.folder.join(format!("{}.db", S::NAME));
        let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(&file).await.unwrap());
        self.stores.push((S::NAME, store.clone()));
        self.spans.push(spans);
        Engine::new(service, store, Arc::new(self.log.clone()), config).start().await.unwrap()
    }
}

impl Shop {
    pub(crate) async fn open(name: &str, endpoint: &str) -> Self {
        let shop = Self::with(Payment::default(), name, endpoint).await;
        let funds = json!({ "minor": 1_000_000, "currency": "EUR" });
        shop.send("payment", Method::PUT, "/accounts/a-1/funds", &funds, &[]).await;
        shop
    }

    /// With a payment service that may have its accounts elsewhere.
    pub(crate) async fn with(payment: Payment, name: &str, endpoint: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("quadrille-trace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (log, stores, spans) = (MemoryLog::default(), vec![], vec![]);
        let mut opening = Opening { endpoint, folder, log, stores, spans };
        let order = opening.start(Orders).await;
        let payment = opening.start(payment).await;
        let inventory = opening.start(Inventory).await;
        let shipping = opening.start(Shipping::default()).await;
        let routers = [
            ("order", order::router(order.client())),
            ("payment", payment::router(payment.client())),
            ("inventory", inventory::router(inventory.client())),
            ("shipping", shipping::router(shipping.client())),
        ];
        let Opening { folder, stores, spans, .. } = opening;
        let shop = Self {
            order,
            payment,
            inventory,
            shipping,
            routers,
            stores,
            spans,
            _folder: Folder(folder),
        };
        for (service, _) in &shop.routers {
            shop.wait(service, "/readyz", |body| body["ready"] == true).await;
        }
        let stock = json!({ "available": 1_000 });
        shop.send("inventory", Method::PUT, "/stock/tea", &stock, &[]).await;
        shop
    }

    /// Places an order that will conclude; its saga.
    pub(crate) async fn place(&self, order: &str, headers: &[(&str, &str)]) -> String {
        let price = json!({ "minor": 150, "currency": "EUR" });
        let body = json!({
            "order": order,
            "customer": "c-1",
            "account": "a-1",
            "lines": [{ "sku": "tea", "quantity": 1, "price": price }],
            "destination": "FR",
        });
        let (status, body) = self.send("order", Method::POST, "/orders", &body, headers).await;
        assert_eq!(status, 202, "{body}");
        body["saga"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn concluded(&self, order: &str) {
        self.wait("order", &format!("/orders/{order}"), |body| body["status"] == "concluded").await;
        let reservation = format!("/reservations/{order}");
        self.wait("inventory", &reservation, |body| body["status"] == "shipped").await;
    }

    async fn wait(&self, service: &str, path: &str, good: impl Fn(&Value) -> bool) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while !good(&self.send(service, Method::GET, path, &Value::Null, &[]).await.1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{service}{path} is not as it should be");
    }

    pub(crate) async fn text(&self, service: &str, path: &str) -> String {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        String::from_utf8(self.ask(service, request).await.1).unwrap()
    }

    async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        let request =
            headers.iter().fold(request, |request, (name, is)| request.header(*name, *is));
        let request = request.body(Body::from(body.to_string())).unwrap();
        let (status, bytes) = self.ask(service, request).await;
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn ask(&self, service: &str, request: Request<Body>) -> (u16, Vec<u8>) {
        let (_, router) = self.routers.iter().find(|(name, _)| *name == service).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, bytes.to_vec())
    }

    /// Drains the engines, and sends the last spans.
    pub(crate) async fn close(self) {
        let Self { order, payment, inventory, shipping, spans, .. } = self;
        assert!(order.shutdown(DEADLINE).await);
        assert!(payment.shutdown(DEADLINE).await);
        assert!(inventory.shutdown(DEADLINE).await);
        assert!(shipping.shutdown(DEADLINE).await);
        for spans in spans {
            spans.flush().await;
        }
    }
}
