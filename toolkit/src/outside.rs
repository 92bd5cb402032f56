//! HTTP/1.1 to the world outside: plain, or encrypted with rustls.
//!
//! Whoever is called by `https://` is trusted when an authority has signed their certificate that this machine
//! trusts, or one of the file that `SSL_CERT_FILE` names (PEM), or of the folder that `SSL_CERT_DIR` names.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Sends requests; connections are kept. Cheap to clone.
pub type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why an address cannot be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoHttpClient {
    /// It is neither `http://` nor `https://`.
    #[error("is no address of an HTTP server")]
    Scheme,
    /// It names no host.
    #[error("has no host")]
    Host,
    /// There is nobody to be trusted.
    #[error(
        "is encrypted, and this machine has no certificates of authorities (name a file of them in SSL_CERT_FILE)"
    )]
    NoAuthorities,
    /// The encryption cannot be set up.
    #[error("is encrypted, and no version of TLS can be set up")]
    Tls,
}

/// A client for an address, `http://` or `https://`. For the latter it reads certificates from files: at the
/// start of a program, not for each call.
///
/// # Errors
/// See [`NoHttpClient`].
pub fn http_client(to: &Uri) -> Result<HttpClient, NoHttpClient> {
    let provider = ring::default_provider();
    let builder = match to.scheme_str() {
        Some("https") => HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(|_| NoHttpClient::NoAuthorities)?,
        // Nobody is trusted where nothing is encrypted.
        Some("http") => HttpsConnectorBuilder::new().with_tls_config(
            ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(|_| NoHttpClient::Tls)?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
        ),
        _ => return Err(NoHttpClient::Scheme),
    };
    if to.host().is_none_or(str::is_empty) {
        return Err(NoHttpClient::Host);
    }
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    let connector = builder.https_or_http().enable_http1().wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
