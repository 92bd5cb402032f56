//! Four engines in one process, and requests to them.

use std::{sync::Arc, time::Duration};

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
    runtime::Runtime,
    store::memory::MemoryStore,
};
use serde_json::{Value, json};
use shipping::Shipping;
use tower::ServiceExt as _;

/// Far more than anything here takes; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Shop {
    order: Running<Orders>,
    payment: Running<Payment>,
    inventory: Running<Inventory>,
    shipping: Running<Shipping>,
    pub(crate) routers: [Router; 4],
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) location: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    /// What kind of problem it is.
    pub(crate) fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:quadrille:problem:").unwrap_or_default()
    }
}

async fn start<S: Service>(service: S, log: &MemoryLog) -> Running<S> {
    let store = Arc::new(MemoryStore::new(Runtime::tokio().clock));
    let engine = Engine::new(service, store, Arc::new(log.clone()), Config::new("test"));
    engine.start().await.unwrap()
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let log = MemoryLog::default();
        let order = start(Orders, &log).await;
        let payment = start(Payment::default(), &log).await;
        let inventory = start(Inventory, &log).await;
        let shipping = start(Shipping::default(), &log).await;
        let routers = [
            order::router(order.client()),
            payment::router(payment.client()),
            inventory::router(inventory.client()),
            shipping::router(shipping.client()),
        ];
        let shop = Self { order, payment, inventory, shipping, routers };
        for router in &shop.routers {
            wait_for(router, "/readyz", |answer| answer.status == 200).await;
        }
        shop
    }

    pub(crate) fn router(&self, service: &str) -> &Router {
        let index =
            ["order", "payment", "inventory", "shipping"].iter().position(|s| *s == service);
        &self.routers[index.unwrap()]
    }

    pub(crate) async fn get(&self, service: &str, path: &str) -> Answer {
        get(self.router(service), path).await
    }

    pub(crate) async fn put(&self, service: &str, path: &str, body: &Value) -> Answer {
        send(self.router(service), Method::PUT, path, Some("application/json"), body.to_string())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.router("order"), Method::POST, path, Some("application/json"), body.to_string())
            .await
    }

    /// Asks until the resource has this status.
    pub(crate) async fn wait(&self, service: &str, path: &str, status: &str) -> Value {
        self.wait_for(service, path, |answer| answer.body["status"] == status).await.body
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn wait_for(
        &self,
        service: &str,
        path: &str,
        good: impl Fn(&Answer) -> bool,
    ) -> Answer {
        wait_for(self.router(service), path, good).await
    }

    pub(crate) async fn close(self) {
        let Self { order, payment, inventory, shipping, .. } = self;
        assert!(order.shutdown(DEADLINE).await);
        assert!(payment.shutdown(DEADLINE).await);
        assert!(inventory.shutdown(DEADLINE).await);
        assert!(shipping.shutdown(DEADLINE).await);
    }
}

pub(crate) fn placement(order: &str, quantity: u32, destination: &str) -> Value {
    json!({
        "order": order,
        "customer": "c-1",
        "account": "a-1",
        "lines": [{
            "sku": "tea",
            "quantity": quantity,
            "price": { "minor": 150, "currency": "EUR" },
        }],
        "destination": destination,
    })
}

async fn get(router: &Router, path: &str) -> Answer {
    send(router, Method::GET, path, None, Body::empty()).await
}

async fn wait_for(router: &Router, path: &str, good: impl Fn(&Answer) -> bool) -> Answer {
    let mut last = None;
    let waited = tokio::time::timeout(DEADLINE, async {
        loop {
            let answer = get(router, path).await;
            if good(&answer) {
                return answer;
            }
            last = Some(answer);
            tokio::task::yield_now().await;
        }
    });
    match waited.await {
        Ok(answer) => answer,
        Err(_) => panic!("{path} is still {last:?}"),
    }
}

pub(crate) async fn send(
    router: &Router,
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let request = request.body(body.into()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let text = |name| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let (location, content_type) = (text(header::LOCATION), text(header::CONTENT_TYPE));
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answer { status, content_type: content_type.unwrap_or_default(), location, body }
}
