//! Whether a service is ready: one HTTP request, spoken by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const WORD_LIMIT: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// An error has what the service says about itself.
pub(super) fn ready(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, WORD_LIMIT)?;
    stream.set_read_timeout(Some(WORD_LIMIT))?;
    stream.set_write_timeout(Some(WORD_LIMIT))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(LARGEST_ANSWER).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).context("no HTTP answer")?;
    if status == "200" {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    bail!("{status}: {}", detail(body).unwrap_or_else(|| body.trim().to_owned()))
}

fn detail(body: &str) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_str(body).ok()?;
    problem["detail"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod test {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn readiness_is_the_status_and_the_reason_is_told() {
        assert!(ready(answering("HTTP/1.1 200 OK\r\n\r\n{}")).is_ok());
        let not = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"detail\":\"Kafka: no broker\"}";
        assert_eq!(ready(answering(not)).unwrap_err().to_string(), "503: Kafka: no broker");
        assert!(ready(answering("nonsense")).is_err());
    }
}
