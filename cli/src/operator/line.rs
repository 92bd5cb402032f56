//! One service's interface.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, Uri, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// How long a service may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A service that can be asked.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    base: String,
    token: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It could not be reached, or did not answer in time.
    Silent(String),
    /// It has answered with an error: its status, and what it says about it.
    Said(u16, String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) | Self::Said(_, why) => f.write_str(why),
        }
    }
}

impl Line {
    /// `name=http://host:port`, or the address alone.
    pub(crate) fn to(text: &str, token: Option<&str>) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no service; write name=http://host:port, for example order=http://127.0.0.1:8080"
            )
        };
        let (name, url) = match text.split_once("=http") {
            Some((name, rest)) => (Some(name), format!("http{rest}")),
            None => (None, text.to_owned()),
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let place = uri.authority().map(ToString::to_string);
        let (Some("http"), Some(place)) = (uri.scheme_str(), place) else { return Err(wrong()) };
        let client = Client::builder(TokioExecutor::new()).build_http();
        let name = name.filter(|name| !name.is_empty()).map_or(place, str::to_owned);
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { name, base, token: token.map(str::to_owned), client })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Trouble> {
        let body = serde_json::to_vec(body).map_err(|error| Trouble::Silent(error.to_string()))?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Trouble> {
        match tokio::time::timeout(ANSWER_WITHIN, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Trouble::Silent(format!(
                "{}: no answer within {} s",
                self.base,
                ANSWER_WITHIN.as_secs()
            ))),
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Trouble> {
        let silent = |error: String| Trouble::Silent(format!("{}: {error}", self.base));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::from(body)).map_err(|error| silent(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| silent(chain(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| silent(error.to_string()))?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| silent(format!("its answer cannot be read: {error}")));
        }
        Err(Trouble::Said(status.as_u16(), problem(status.as_str(), &body)))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A problem document, in one line.
fn problem(status: &str, body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let parts = ["title", "detail"].map(|part| document[part].as_str());
    let told: Vec<&str> = parts.into_iter().flatten().collect();
    if told.is_empty() { format!("it says {status}") } else { told.join(": ") }
}

/// A text as a part of a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut done, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            done.push(char::from(byte));
        } else {
            done.push_str(&format!("%{byte:02X}"));
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_a_name_and_an_address() {
        let line = Line::to("order=http://127.0.0.1:8080/", None).unwrap();
        assert_eq!((&*line.name, &*line.base), ("order", "http://127.0.0.1:8080"));
        let line = Line::to("http://127.0.0.1:8080", None).unwrap();
        assert_eq!(line.name, "127.0.0.1:8080");
        for wrong in ["order", "order=127.0.0.1:80", "https://h", ""] {
            assert!(
                Line::to(wrong, None).unwrap_err().contains("name=http://host:port"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_goes_into_a_query_is_encoded() {
        assert_eq!(encoded("message/a.b/0/x y"), "message%2Fa.b%2F0%2Fx%20y");
    }

    #[test]
    fn a_problem_is_told_in_one_line() {
        assert_eq!(problem("403", br#"{"title": "Closed", "detail": "set it"}"#), "Closed: set it");
        assert_eq!(problem("502", b"<html>"), "it says 502");
    }
}
