//! A way to anything that speaks TCP, which can be cut.

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::door::Door;

/// Between some clients and a server. Connections are cut when it is dropped.
#[derive(Debug)]
pub struct Way {
    /// Where clients connect: `host:port`.
    pub address: String,
    door: Door,
}

impl Way {
    /// Listens on this machine, and connects to `server` (`host:port`) for each client.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(server: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let server = server.to_owned();
        let door = Door::of(listener, move |client, cuts| serve(client, server.clone(), cuts));
        Ok(Self { address, door })
    }

    /// Closes all connections. Clients may come again.
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

async fn serve(mut client: TcpStream, server: String, mut cuts: watch::Receiver<u64>) {
    let Ok(mut server) = TcpStream::connect(&server).await else { return };
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
