//! One HTTP call, and what is known after it.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use quadrille::{
    effect::{Call, EffectError},
    outside::{self, HttpClient},
};
use serde::de::DeserializeOwned;

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How much of an answer is told when it is an error, in bytes.
const ERROR_BYTES_SHOWN: usize = 200;

/// Calls to one gateway; connections are kept.
#[derive(Clone)]
pub(super) struct Line {
    client: HttpClient,
    /// Without a slash at its end.
    base: String,
}

impl Line {
    pub(super) fn to(url: &str) -> Result<Self, String> {
        const MEND: &str = "write http://host:port or https://host";
        let uri: Uri = url.parse().map_err(|_| format!("is no address; {MEND}"))?;
        if uri.query().is_some() {
            return Err(format!("has a query; {MEND}"));
        }
        let client = outside::http_client(&uri).map_err(|error| format!("{error}; {MEND}"))?;
        Ok(Self { client, base: url.trim_end_matches('/').to_owned() })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request under the effect's key.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        call: &Call,
        body: Vec<u8>,
    ) -> Result<T, EffectError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", call.key.to_string());
        let request = traced(request, call).body(Full::from(body));
        let (status, answer) = self.send(request).await?;
        match status {
            StatusCode::TOO_MANY_REQUESTS => Err(EffectError::not_sent(said(status, &answer))),
            _ if status.is_client_error() => Err(EffectError::hopeless(said(status, &answer))),
            _ => read(status, &answer),
        }
    }

    /// Asks for what was done under the effect's key; `None` when nothing was, so far.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        call: &Call,
    ) -> Result<Option<T>, EffectError> {
        let request = Request::builder().uri(format!("{}{path}/{}", self.base, call.key));
        let request = traced(request, call).body(Full::default());
        let (status, answer) = self.send(request).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(status, &answer).map(Some)
    }

    async fn send(
        &self,
        request: hyper::http::Result<Request<Full<Bytes>>>,
    ) -> Result<(StatusCode, Bytes), EffectError> {
        let request = request.map_err(EffectError::hopeless)?;
        let response = self.client.request(request).await.map_err(|error| {
            // Without a connection nothing was sent.
            if error.is_connect() {
                EffectError::not_sent(error)
            } else {
                EffectError::unknown(error)
            }
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(EffectError::unknown)?;
        Ok((status, body.to_bytes()))
    }
}

fn traced(request: hyper::http::request::Builder, call: &Call) -> hyper::http::request::Builder {
    let Some(trace) = &call.trace else { return request };
    let request = request.header("traceparent", &**trace);
    match &call.trace_state {
        Some(state) => request.header("tracestate", &**state),
        None => request,
    }
}

/// What cannot be read may have been done.
fn read<T: DeserializeOwned>(status: StatusCode, answer: &[u8]) -> Result<T, EffectError> {
    if !status.is_success() {
        return Err(EffectError::unknown(said(status, answer)));
    }
    serde_json::from_slice(answer).map_err(EffectError::unknown)
}

fn said(status: StatusCode, answer: &[u8]) -> String {
    let shown = &answer[..answer.len().min(ERROR_BYTES_SHOWN)];
    format!("the gateway said {status}: {}", String::from_utf8_lossy(shown))
}
