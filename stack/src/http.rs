//! One HTTP request on a connection of its own: no pool that a killed process could confuse.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A request that takes longer is tried again by its caller.
const LIMIT: Duration = Duration::from_secs(5);

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// Sends a request and reads the answer to its end.
///
/// # Errors
/// When nobody answers within some seconds.
pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    send_with(address, method, path, "", body).await
}

/// As [`send`], with more headers: lines that end with CR and LF.
///
/// # Errors
/// As [`send`].
pub async fn send_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    let exchange = exchange(address, method, path, headers, body);
    timeout(LIMIT, exchange).await.context("no answer in time")?
}

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, body: body.to_owned() })
}
