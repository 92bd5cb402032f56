//! A way to anything that speaks TCP, which can be cut.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

/// Between some clients and a server. Connections are cut when it is dropped.
#[derive(Debug)]
pub struct Way {
    /// Where clients connect: `host:port`.
    pub address: String,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    server: String,
    closed: AtomicBool,
    /// Rises with every cut.
    cuts: watch::Sender<u64>,
}

impl Way {
    /// Listens on this machine, and connects to `server` (`host:port`) for each client.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(server: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            closed: AtomicBool::new(false),
            cuts: watch::Sender::default(),
        });
        let task: JoinHandle<()> = tokio::spawn(listen(listener, shared.clone()));
        Ok(Self { address, shared, listening: task.abort_handle() })
    }

    /// Closes all connections. Clients may come again.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts, and lets nobody in until [`open`](Self::open).
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Ends [`close`](Self::close).
    pub fn open(&self) {
        self.shared.closed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // A connection that cannot be accepted is the client's trouble, and it will come again.
    while let Ok((client, _)) = listener.accept().await {
        if !shared.closed.load(Ordering::SeqCst) {
            drop(tokio::spawn(serve(client, shared.clone())));
        }
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(mut server) = TcpStream::connect(&shared.server).await else { return };
    // Small requests must not wait for each other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cuts.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_is_said_passes_until_the_way_is_cut() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let way = Way::to(&server.local_addr().unwrap().to_string()).await.unwrap();
        let mut client = TcpStream::connect(&way.address).await.unwrap();
        let (mut there, _) = server.accept().await.unwrap();
        client.write_all(b"in").await.unwrap();
        there.write_all(b"out").await.unwrap();
        let (mut heard, mut said) = ([0; 2], [0; 3]);
        there.read_exact(&mut heard).await.unwrap();
        client.read_exact(&mut said).await.unwrap();
        assert_eq!((&heard, &said), (b"in", b"out"));

        way.close();
        assert!(!matches!(client.read(&mut said).await, Ok(1..)), "cut on one side");
        assert!(!matches!(there.read(&mut heard).await, Ok(1..)), "and on the other");
        let mut refused = TcpStream::connect(&way.address).await.unwrap();
        assert!(!matches!(refused.read(&mut said).await, Ok(1..)), "nobody gets in");

        way.open();
        let mut again = TcpStream::connect(&way.address).await.unwrap();
        let (mut there, _) = server.accept().await.unwrap();
        again.write_all(b"on").await.unwrap();
        there.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"on");
    }
}
