//! Webhooks: one POST, signed as Standard Webhooks say, and what is known after it.
//!
//! | header | value |
//! |---|---|
//! | `webhook-id` | the same at every try: the receiver's key for taking it once |
//! | `webhook-timestamp` | seconds since 1970, of the try |
//! | `webhook-signature` | `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, when there is a [`Secret`] |
//!
//! Addresses are `http://` or `https://`: see [`outside`] for who is trusted.

mod alert;
mod secret;

use std::fmt;

pub use alert::AlertWebhook;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
pub use secret::{NotASecret, Secret};

use crate::{
    effect::EffectError,
    outside::{self, HttpClient, NoHttpClient},
};

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of an answer is told when it is an error, in bytes.
const ANSWER_BYTES_SHOWN: usize = 200;

/// Where webhooks go. Shown without its path: that may be a secret.
#[derive(Clone)]
pub struct Endpoint {
    uri: Uri,
    secret: Option<Secret>,
    client: HttpClient,
}

/// A text that is no endpoint: what is wrong with it, and after a semicolon the mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write https://host/path or http://host:port/path")]
pub struct NotAnEndpoint(NotAnAddress);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotAnAddress {
    #[error("is no address")]
    Unreadable,
    #[error(transparent)]
    Uncallable(NoHttpClient),
}

/// One message.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The same at every try.
    pub id: String,
    /// When it is sent, in seconds since 1970.
    pub timestamp: i64,
    /// JSON.
    pub body: Bytes,
}

impl Endpoint {
    /// An endpoint at an `http://` or `https://` address; with a secret its messages are signed. For `https://`
    /// it reads certificates from files: at the start of a program, not for each message.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(url: &str, secret: Option<Secret>) -> Result<Self, NotAnEndpoint> {
        let uri: Uri = url.parse().map_err(|_| NotAnEndpoint(NotAnAddress::Unreadable))?;
        let uncallable = |error| NotAnEndpoint(NotAnAddress::Uncallable(error));
        let client = outside::http_client(&uri).map_err(uncallable)?;
        Ok(Self { uri, secret, client })
    }

    /// The same, with its messages signed.
    #[must_use]
    pub fn signed(self, secret: Secret) -> Self {
        Self { secret: Some(secret), ..self }
    }

    /// Sends it once. Done is a 2xx.
    ///
    /// # Errors
    /// No connection: surely nothing was sent. 410: hopeless, nobody is there any more. All else: it may have
    /// arrived.
    pub async fn post(&self, webhook: &Webhook) -> Result<(), EffectError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &webhook.id)
            .header("webhook-timestamp", webhook.timestamp);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", secret.signature(webhook));
        }
        let request = request.body(Full::from(webhook.body.clone()));
        let response = self.client.request(request.map_err(EffectError::hopeless)?).await;
        let response = response.map_err(|error| {
            if error.is_connect() {
                EffectError::not_sent(error)
            } else {
                EffectError::unknown(error)
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let shown = String::from_utf8_lossy(&body[..body.len().min(ANSWER_BYTES_SHOWN)]);
        let said = format!("the receiver said {status}: {shown}");
        Err(if status == StatusCode::GONE {
            EffectError::hopeless(said)
        } else {
            EffectError::unknown(said)
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority();
        let port = authority.and_then(|it| it.port_u16()).map(|port| format!(":{port}"));
        let host = self.uri.host().unwrap_or_default();
        let signed = if self.secret.is_some() { ", signed" } else { "" };
        let scheme = self.uri.scheme_str().unwrap_or_default();
        write!(f, "{scheme}://{host}{}/…{signed}", port.unwrap_or_default())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_shown_without_its_secrets() {
        let secret = Secret::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3").unwrap();
        let endpoint = Endpoint::new("http://me:pw@hooks:81/T0/B1/s3cr3t?k=s3cr3t", Some(secret));
        let shown = format!("{0} {0:?}", endpoint.unwrap());
        assert_eq!(shown, "http://hooks:81/…, signed http://hooks:81/…, signed");
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        for (wrong, why) in
            [("h/x", "no address"), ("ftp://h/", "HTTP server"), ("h", "HTTP server")]
        {
            let error = Endpoint::new(wrong, None).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("; write https://"), "{error}");
        }
    }
}
