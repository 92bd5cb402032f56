//! A way to the broker that is ours: requests of a kind are held back or get lost, and connections are cut.
//!
//! It understands no more of Kafka than a request's kind and version. The broker's answers name the broker's own
//! address, to which a client would go next; the proxy puts its port in place of the broker's.

mod connection;
#[cfg(test)]
mod tests;
pub mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use tokio::{net::TcpListener, sync::watch};
use wire::{Kind, Version};

use crate::door::Door;

/// Between some clients and a broker on this machine. Connections are cut when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// What a client is told to be the broker: `host:port`.
    pub address: String,
    shared: Arc<Shared>,
    door: Door,
}

#[derive(Debug)]
struct Shared {
    /// `host:port`.
    broker: String,
    host: String,
    broker_port: u16,
    port: u16,
    /// The kinds of requests that are held back.
    kinds: watch::Sender<BTreeSet<Kind>>,
    held: AtomicUsize,
    /// The kinds of requests that get lost.
    losing: watch::Sender<BTreeSet<Kind>>,
    lost: AtomicUsize,
    /// The newest version of each kind of request that has come.
    newest: Mutex<BTreeMap<Kind, Version>>,
}

impl Proxy {
    /// Listens, and connects to the broker for each client.
    ///
    /// # Errors
    /// When the broker is not one on this machine: its name with our port must lead here.
    pub async fn before(broker: &str) -> Result<Self> {
        let (host, port) = broker.rsplit_once(':').context("a broker is host:port")?;
        let here = ["127.0.0.1", "localhost"].contains(&host);
        ensure!(here, "the proxy works before one broker on this machine only, not {broker}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own_port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            broker: broker.to_owned(),
            host: host.to_owned(),
            broker_port: port.parse()?,
            port: own_port,
            kinds: watch::Sender::default(),
            held: AtomicUsize::new(0),
            losing: watch::Sender::default(),
            lost: AtomicUsize::new(0),
            newest: Mutex::default(),
        });
        let behind = Arc::clone(&shared);
        let serve = move |client, cuts| connection::serve(client, Arc::clone(&behind), cuts);
        let door = Door::of(listener, serve);
        Ok(Self { address: format!("{host}:{own_port}"), shared, door })
    }

    /// From now on, requests of these kinds (see [`wire`]) wait here, and what is sent after them on the
    /// same connection.
    pub fn hold(&self, kinds: &[Kind]) {
        self.shared.kinds.send_replace(kinds.iter().copied().collect());
    }

    /// How many requests wait here.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Sends on what was held back, late, and also for clients that have died since.
    pub fn release(&self) {
        self.shared.kinds.send_replace(BTreeSet::new());
    }

    /// From now on, requests of these kinds do not arrive, and what is sent after them does: their client waits for
    /// an answer, and believes that its connection is in order. None of them any more: an empty list.
    pub fn lose(&self, kinds: &[Kind]) {
        self.shared.losing.send_replace(kinds.iter().copied().collect());
    }

    /// How many requests got lost so far.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// The newest version in which requests of this kind have come; none when none has come.
    #[must_use]
    pub fn newest(&self, kind: Kind) -> Option<Version> {
        self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).copied()
    }

    /// Closes all connections; what was held back on them is lost. Clients may come again.
    pub fn cut(&self) {
        self.door.cut();
    }

    /// Cuts, and lets nobody in until [`open`](Self::open).
    pub fn close(&self) {
        self.door.close();
    }

    /// Ends [`close`](Self::close).
    pub fn open(&self) {
        self.door.open();
    }
}
