//! The HTTP server: up before the engine is, and there until it has drained.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower::ServiceExt as _;

use crate::{
    engine::Health,
    http::{self, OperatorAccess, Probes, Problem},
    telemetry,
};

/// What a process shows of itself. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Front {
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown {
    /// Why there is no engine yet.
    waiting: Mutex<String>,
    /// The service's own interface, once there is an engine.
    interface: OnceLock<Router>,
    operator: OperatorAccess,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Front {
    pub(super) fn new(operator: OperatorAccess) -> Self {
        let waiting = Mutex::new("starting".to_owned());
        Self { shown: Arc::new(Shown { waiting, interface: OnceLock::new(), operator }) }
    }

    fn waiting(&self) -> MutexGuard<'_, String> {
        self.shown.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why there is no engine yet. True when that is news.
    pub(super) fn waits_for(&self, reason: String) -> bool {
        let mut waiting = self.waiting();
        let is_news = *waiting != reason;
        *waiting = reason;
        is_news
    }

    /// From now on the service answers by itself.
    pub(super) fn open(&self, interface: Router) {
        // Called once; a second interface would be dropped.
        let _ = self.shown.interface.set(interface);
    }

    /// All paths, whatever the state.
    pub(super) fn router(&self, service: &'static str) -> Router {
        let front = self.clone();
        let health = move || Health { ready: false, reasons: vec![front.waiting().clone()] };
        let metrics = move || std::future::ready(telemetry::metrics::before_start(service));
        let probes = Probes { health, metrics };
        let before = http::complete(Router::new(), service, probes, None);
        let front = self.clone();
        Router::new().fallback(move |request: Request| answer(front, before, request))
    }

    pub(super) async fn serve(
        &self,
        service: &'static str,
        address: SocketAddr,
    ) -> std::io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let serving =
            axum::serve(listener, self.router(service)).with_graceful_shutdown(raised(stopped));
        let task = tokio::spawn(async move { serving.await });
        Ok(Server { address, stop, task })
    }
}

async fn raised(mut flag: watch::Receiver<bool>) {
    // The sender may be gone: that ends it too.
    let _ = flag.wait_for(|raised| *raised).await.is_ok();
}

async fn answer(front: Front, before: Router, mut request: Request) -> Response {
    request.extensions_mut().insert(front.shown.operator.clone());
    let router = match front.shown.interface.get() {
        Some(interface) => interface.clone(),
        None if is_health(request.uri().path()) => before,
        None => return not_yet(&front.waiting()).into_response(),
    };
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn is_health(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

fn not_yet(reason: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "The service is starting")
        .detail(reason)
}

impl Server {
    /// Takes no new connection, and gives the open requests this long.
    pub(super) async fn stop(self, within: Duration) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(within, self.task).await.is_err() {
            abort.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use serde_json::Value;

    use super::*;

    async fn ask(front: &Front, path: &str) -> (u16, Value) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = front.router("test").oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn before_the_engine_it_is_alive_and_says_what_it_waits_for() {
        let front = Front::new(OperatorAccess::default());
        assert!(front.waits_for("the store is unavailable".into()));
        assert!(!front.waits_for("the store is unavailable".into()));
        assert_eq!(ask(&front, "/livez").await.0, 200);
        let (status, body) = ask(&front, "/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(body["reasons"], serde_json::json!(["the store is unavailable"]));
        let (status, body) = ask(&front, "/orders/o-1").await;
        assert_eq!((status, &body["type"]), (503, &Value::from("urn:quadrille:problem:starting")));
    }

    #[tokio::test]
    async fn with_the_engine_the_service_answers() {
        let front = Front::new(OperatorAccess::default());
        front.open(Router::new().route("/orders", get(|| async { "mine" })));
        assert_eq!(ask(&front, "/orders").await.0, 200);
        assert_eq!(ask(&front, "/nowhere").await.0, 404);
    }

    #[tokio::test]
    async fn a_server_listens_and_stops() {
        let front = Front::new(OperatorAccess::default());
        let server = front.serve("test", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = server.address;
        tokio::net::TcpStream::connect(address).await.unwrap();
        server.stop(Duration::from_secs(5)).await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}
