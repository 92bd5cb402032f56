//! A request to one of the four services: `METHOD /path` on the first line, an empty line, the body.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Uri, header},
};
use quadrille::{
    Service,
    engine::{Config, Engine, Running},
    log::memory::MemoryLog,
    runtime::Runtime,
    store::memory::MemoryStore,
};
use tokio::runtime;
use tower::ServiceExt as _;

use super::{Target, ensure, head_and_body, mark};

/// Four services on real engines, with stores and a log in memory, all in one thread.
pub(super) struct HttpTarget {
    runtime: runtime::Runtime,
    routers: Vec<(&'static str, Router)>,
    /// Dropped, they would stop.
    _running: Vec<Box<dyn Any>>,
}

/// Until all four services have compared their logs with their stores, at most.
const READY_WITHIN: Duration = Duration::from_secs(30);

impl HttpTarget {
    pub(super) fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (routers, running) = runtime.block_on(shop());
        Self { runtime, routers, _running: running }
    }
}

async fn shop() -> (Vec<(&'static str, Router)>, Vec<Box<dyn Any>>) {
    let log = MemoryLog::default();
    let order = start(order::Orders, &log).await;
    let payment = start(payment::Payment::default(), &log).await;
    let inventory = start(inventory::Inventory, &log).await;
    let shipping = start(shipping::Shipping::default(), &log).await;
    let routers = vec![
        ("order", order::router(order.client())),
        ("payment", payment::router(payment.client())),
        ("inventory", inventory::router(inventory.client())),
        ("shipping", shipping::router(shipping.client())),
    ];
    let all_ready = async {
        for (_, router) in &routers {
            while !is_ready(router).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(READY_WITHIN, all_ready).await.expect("services that become ready");
    (routers, vec![Box::new(order), Box::new(payment), Box::new(inventory), Box::new(shipping)])
}

async fn is_ready(router: &Router) -> bool {
    let Ok(request) = Request::builder().uri("/readyz").body(Body::empty()) else { return false };
    let Ok(response) = router.clone().oneshot(request).await;
    response.status().is_success()
}

async fn start<S: Service>(service: S, log: &MemoryLog) -> Running<S> {
    let store = Arc::new(MemoryStore::new(Runtime::tokio().clock));
    let engine = Engine::new(service, store, Arc::new(log.clone()), Config::new("fuzz"));
    engine.start().await.expect("an engine")
}

impl Target for HttpTarget {
    /// A request is answered, and never with an error of the server's.
    fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String> {
        let (head, body) = head_and_body(input);
        let Some((method, uri)) = request_line(head) else { return Ok(vec![]) };
        let mut marks = vec![];
        for (service, router) in &self.routers {
            let request = Request::builder()
                .method(method.clone())
                .uri(uri.clone())
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_vec()));
            let Ok(request) = request else { return Ok(vec![]) };
            let Ok(response) = self.runtime.block_on(router.clone().oneshot(request));
            let status = response.status();
            let probe = uri.path().starts_with("/readyz");
            ensure(probe || !status.is_server_error(), || {
                format!("{service} answers {method} {uri} with {status}")
            })?;
            marks.push(mark(service) ^ u64::from(status.as_u16()));
        }
        Ok(marks)
    }
}

fn request_line(head: &[u8]) -> Option<(Method, Uri)> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let (method, path) = line.split_once(' ')?;
    Some((method.parse().ok()?, path.parse().ok()?))
}
