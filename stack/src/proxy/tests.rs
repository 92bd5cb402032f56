//! The proxy between a client and a broker that are both sockets of the test.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::wait::{LIMIT, until};

/// A request of a kind, of eight bytes.
fn request(kind: Kind, number: u8) -> Vec<u8> {
    [&[0, 0, 0, 8][..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, number]].concat()
}

async fn connected() -> (Proxy, TcpStream, TcpStream) {
    let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::before(&broker.local_addr().unwrap().to_string()).await.unwrap();
    let client = TcpStream::connect(&proxy.address).await.unwrap();
    let (server, _) = broker.accept().await.unwrap();
    (proxy, client, server)
}

async fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    tokio::time::timeout(LIMIT, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

async fn until_held(proxy: &Proxy, count: usize) {
    until("requests to be held", LIMIT, async || Ok(proxy.held() == count)).await.unwrap();
}

#[tokio::test]
async fn what_is_held_comes_late_even_from_the_dead() {
    let (proxy, mut client, mut server) = connected().await;
    proxy.hold(&[wire::END_TXN]);
    client.write_all(&request(wire::PRODUCE, 1)).await.unwrap();
    client.write_all(&request(wire::END_TXN, 2)).await.unwrap();
    assert_eq!(read::<12>(&mut server).await[..], request(wire::PRODUCE, 1));
    until_held(&proxy, 1).await;
    drop(client);
    proxy.release();
    assert_eq!(read::<12>(&mut server).await[..], request(wire::END_TXN, 2));
    let mut rest = vec![];
    server.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty() && proxy.held() == 0);
}

#[tokio::test]
async fn what_is_held_is_lost_when_the_way_is_cut_or_the_broker_dies() {
    let (proxy, mut client, mut server) = connected().await;
    proxy.hold(&[wire::END_TXN]);
    client.write_all(&request(wire::END_TXN, 1)).await.unwrap();
    until_held(&proxy, 1).await;
    proxy.cut();
    until_held(&proxy, 0).await;
    let mut rest = vec![];
    server.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the client is told");

    let (proxy, mut client, server) = connected().await;
    proxy.hold(&[wire::END_TXN]);
    client.write_all(&request(wire::END_TXN, 1)).await.unwrap();
    until_held(&proxy, 1).await;
    drop(server);
    until_held(&proxy, 0).await;
}

#[tokio::test]
async fn what_gets_lost_keeps_nothing_back() {
    let (proxy, mut client, mut server) = connected().await;
    proxy.lose(&[wire::FETCH]);
    client.write_all(&request(wire::FETCH, 1)).await.unwrap();
    client.write_all(&request(wire::PRODUCE, 2)).await.unwrap();
    assert_eq!(read::<12>(&mut server).await[..], request(wire::PRODUCE, 2));
    assert_eq!(proxy.lost(), 1);
    proxy.lose(&[]);
    client.write_all(&request(wire::FETCH, 3)).await.unwrap();
    assert_eq!(read::<12>(&mut server).await[..], request(wire::FETCH, 3));
    assert_eq!(proxy.lost(), 1);
}

#[tokio::test]
async fn a_closed_proxy_lets_nobody_in() {
    let (proxy, mut client, _server) = connected().await;
    proxy.close();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    let mut late = TcpStream::connect(&proxy.address).await.unwrap();
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn answers_lead_back_to_the_proxy() {
    let (proxy, mut client, mut server) = connected().await;
    client.write_all(&request(3, 1)).await.unwrap();
    let _: [u8; 12] = read(&mut server).await;
    let port = |port: u16| u32::from(port).to_be_bytes();
    let answer = |at: u16| [&[0, 0, 0, 17, 0, 0, 0, 1][..], b"127.0.0.1", &port(at)].concat();
    server.write_all(&answer(proxy.shared.broker_port)).await.unwrap();
    assert_eq!(read::<21>(&mut client).await[..], answer(proxy.shared.port));
}

#[tokio::test]
async fn a_broker_elsewhere_is_refused() {
    let error = Proxy::before("kafka.example:9092").await.unwrap_err().to_string();
    assert!(error.contains("this machine"), "{error}");
}
