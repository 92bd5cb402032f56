//! Extractors whose rejections are problem documents.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use super::Problem;

/// A JSON body, of a request or of a response.
///
/// A request's must be declared as `application/json`, be an object, be complete, and have nothing after
/// it. Let its type `deny_unknown_fields`, so that a misspelt field is an error and not a default.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await.map_err(JsonRejection::from)?;
        let is_array = bytes.trim_ascii_start().starts_with(b"[");
        let request = Request::from_parts(parts, Body::from(bytes));
        let axum::Json(value) = axum::Json::from_request(request, state).await?;
        // serde reads an array as a struct, field by field: nobody means that.
        if is_array { Err(Problem::not_an_object()) } else { Ok(Self(value)) }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The variable parts of a path.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(value) =
            axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}
