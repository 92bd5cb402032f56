//! Webhooks to an `https://` receiver: who is trusted, and what is known when nobody is.
//!
//! Whom a process trusts is said by its environment, so each case is a process of its own: this program, run
//! again for one test.
#![allow(missing_docs, clippy::print_stdout)]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use quadrille::webhook::{Endpoint, Webhook};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::TlsAcceptor;

const ENDPOINT: &str = "WEBHOOK_TLS_ENDPOINT";

/// Listens as `localhost`, and counts what it got.
struct Receiver {
    address: SocketAddr,
    got: Arc<AtomicUsize>,
    /// Its own certificate, which no authority has signed.
    pem: String,
}

impl Receiver {
    async fn listen() -> Self {
        let CertifiedKey { cert, key_pair } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_pair.serialize_der()));
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(AtomicUsize::new(0));
        let count = got.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(acceptor.clone(), stream, count.clone()));
            }
        });
        Self { address, got, pem: cert.pem() }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/hooks", self.address.port())
    }
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream, got: Arc<AtomicUsize>) {
    // Whoever does not trust us hangs up.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = vec![];
    while !request.ends_with(b"{\"a\": 1}") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    got.fetch_add(1, Ordering::Relaxed);
    let done = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    stream.write_all(done).await.expect("the caller waits for it");
    let _ = stream.shutdown().await;
}

/// A file that is gone when the test ends.
struct Pem(PathBuf);

impl Pem {
    fn of(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quadrille-webhook-{}-{n}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a process says that trusts those in the file.
async fn posted_by_one_that_trusts(pem: &str, url: &str) -> String {
    let pem = Pem::of(pem);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_post", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", &pem.0)
        .env_remove("SSL_CERT_DIR")
        .env(ENDPOINT, url)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "the other tests run it, in a process of its own"]
async fn one_post() {
    let url = std::env::var(ENDPOINT).expect("the other tests set it");
    let webhook =
        Webhook { id: "msg_1".to_owned(), timestamp: 1_614_265_330, body: r#"{"a": 1}"#.into() };
    let said = match Endpoint::new(&url, None) {
        Err(error) => format!("refused: {error}"),
        Ok(endpoint) => match endpoint.post(&webhook).await {
            Ok(()) => format!("delivered to {endpoint}"),
            Err(error) => format!("failed: {}", error.chain()),
        },
    };
    println!("{said}");
}

#[tokio::test]
async fn a_receiver_whose_authority_is_named_is_trusted() {
    let receiver = Receiver::listen().await;
    let said = posted_by_one_that_trusts(&receiver.pem, &receiver.url()).await;
    let shown = format!("delivered to https://localhost:{}/…", receiver.address.port());
    assert!(said.contains(&shown), "{said}");
    assert_eq!(receiver.got.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_receiver_whom_nobody_vouches_for_gets_nothing() {
    let (receiver, other) = (Receiver::listen().await, Receiver::listen().await);
    let said = posted_by_one_that_trusts(&other.pem, &receiver.url()).await;
    assert!(said.contains("failed: nothing was sent") && said.contains("certificate"), "{said}");
    // Right certificate, wrong name.
    let url = receiver.url().replace("localhost", "127.0.0.1");
    let said = posted_by_one_that_trusts(&receiver.pem, &url).await;
    assert!(said.contains("failed: nothing was sent"), "{said}");
    assert_eq!(receiver.got.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn without_authorities_the_address_is_refused() {
    let said = posted_by_one_that_trusts("", "https://localhost:1/hooks").await;
    assert!(said.contains("refused: ") && said.contains("SSL_CERT_FILE"), "{said}");
    // Where nothing is encrypted, nobody has to be trusted.
    let said = posted_by_one_that_trusts("", "http://localhost:1/hooks").await;
    assert!(said.contains("failed: nothing was sent"), "{said}");
}
