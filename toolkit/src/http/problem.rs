//! Problem documents (RFC 9457).

use axum::{
    extract::rejection::{JsonRejection, PathRejection},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::BODY_BYTES_MAX;
use crate::engine::ClientError;

/// How long a client should wait after a 503, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;
const INVALID_BODY: &str = "The body does not say what it should";

/// Why a request got no better answer. Serialised as `application/problem+json`.
///
/// `type` is `urn:quadrille:problem:<kind>`: stable, for programs; `title` says the same for people, and
/// `detail` what is wrong this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    type_uri: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    #[serde(skip)]
    code: StatusCode,
}

impl Problem {
    /// A problem of a kind, such as `unknown-order`, with a title for people.
    #[must_use]
    pub fn new(code: StatusCode, kind: &str, title: &'static str) -> Self {
        let type_uri = format!("urn:quadrille:problem:{kind}");
        Self { type_uri, title, status: code.as_u16(), detail: None, reasons: vec![], code }
    }

    /// There is no such thing: 404.
    #[must_use]
    pub fn not_found(kind: &str, title: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, kind, title)
    }

    /// It contradicts what is there: 409.
    #[must_use]
    pub fn conflict(kind: &str, title: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title)
    }

    /// It is understood, and impossible: 422.
    #[must_use]
    pub fn unprocessable(kind: &str, title: &'static str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title)
    }

    pub(super) fn not_an_object() -> Self {
        Self::unprocessable("invalid-body", INVALID_BODY)
            .detail("expected a JSON object, found an array")
    }

    /// Says what is wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says it in several sentences, one each.
    #[must_use]
    pub fn reasons(mut self, reasons: Vec<String>) -> Self {
        self.reasons = reasons;
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Strings and a number serialise.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.code, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        let unavailable = |kind, title| Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title);
        match &error {
            ClientError::Busy => unavailable("busy", "Too many commands wait"),
            ClientError::ShuttingDown => {
                unavailable("shutting-down", "The service is shutting down")
            }
            ClientError::Unavailable(_) => {
                unavailable("unavailable", "The service cannot do its work now")
            }
            ClientError::KeyReused => Self::unprocessable(
                "idempotency-key-reused",
                "The Idempotency-Key belongs to another request",
            ),
            ClientError::Rejected(_) => {
                Self::unprocessable("rejected", "The request can never succeed")
            }
        }
        .detail(error.to_string())
    }
}

/// A stored payload that its type does not read: the one thing here that is not the request's fault.
impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", "A stored event is unreadable")
            .detail(error.to_string())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let (kind, title) = match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("not-json", "The body is not declared as JSON"),
            StatusCode::PAYLOAD_TOO_LARGE => {
                return Self::new(rejection.status(), "too-large", "The body is too large")
                    .detail(format!("a body has at most {BODY_BYTES_MAX} bytes"));
            }
            StatusCode::UNPROCESSABLE_ENTITY => ("invalid-body", INVALID_BODY),
            _ => ("malformed-body", "The body cannot be read as JSON"),
        };
        Self::new(rejection.status(), kind, title).detail(rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), "invalid-path", "The path names nothing that could exist")
            .detail(rejection.body_text())
    }
}

pub(super) async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found("unknown-path", "There is nothing at this path").detail(uri.path())
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong-method",
        "The path does not take this method",
    )
    .detail(format!("{method} {}", uri.path()))
}
