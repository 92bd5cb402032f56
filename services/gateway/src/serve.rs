//! The server: connections in, answers out; and an answer that is to be lost closes its connection.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tower::ServiceExt as _;

use crate::{http, office::Office};

/// Connections at the same time; more wait to be accepted.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How long to wait when a connection cannot be accepted: too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// In a response: its connection is to be closed instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerIsLost;

/// A gateway that listens. Dropped, it is gone at once with all its connections, as if it were killed.
pub struct Serving {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serving on {}", self.address)
    }
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where to call it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Resolves when it does not listen any more, which it never does by itself.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }
}

/// Listens on an address; port 0 takes a free one.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(office: Office, address: SocketAddr) -> io::Result<Serving> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(listener, http::router(office)));
    Ok(Serving { address, tasks })
}

async fn accept(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // Never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let router = router.clone();
        connections.spawn(async move {
            // A connection that breaks is its caller's to notice.
            let _ = converse(stream, router).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, router: Router) -> hyper::Result<()> {
    stream.set_nodelay(true).ok();
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            // A router is infallible.
            let response: Response<Body> =
                router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
            match response.extensions().get::<AnswerIsLost>() {
                Some(AnswerIsLost) => Err(io::Error::other("the answer is lost")),
                None => Ok(response),
            }
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answer)
        .await
}
