//! `Idempotency-Key`: a request that may come twice, and is carried out once.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, MatchedPath, Request, rejection::JsonRejection},
    http::{HeaderMap, HeaderName, StatusCode, request::Parts},
};

use super::Problem;
use crate::engine::CommandKey;

/// The longest key, in bytes, without its quotes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a request brings, and the key under which its caller may repeat it (the header `Idempotency-Key`
/// of the IETF draft), for [`Client::execute_keyed`](crate::engine::Client::execute_keyed):
///
/// ```text
/// async fn place(State(client): State<Client<Orders>>, once: Once<Json<Placement>>) -> Answer {
///     let receipt = client.execute_keyed(once.key, &order, place).await?;
/// ```
///
/// * The same key and the same request again, byte for byte: the same decision, and so the same status
///   and body, as long as the handler makes them from the receipt or the refusal and the request alone.
///   Also after a crash: key, answer and events are one transaction.
/// * The same key and another method, path, query or body: 422 `idempotency-key-reused`.
/// * At the same moment: the second waits for the first's answer, which is one commit away; a 409 would
///   only make its caller ask again.
/// * What fails before it is decided (a bad body, 503) is not kept: the key is still free.
/// * A key that is none (empty, too long, no printable ASCII, given twice): 400.
///
/// A key is the service's and the route's; callers share them, so let them be random, UUIDs for example.
/// It is kept for [`Limits::answers_kept`](crate::engine::Limits): after that the request is a new one.
#[derive(Clone, Copy, Debug)]
pub struct Once<T> {
    /// The key, when the request has one.
    pub key: Option<CommandKey>,
    /// What the request says.
    pub input: T,
}

/// The input of a request whose body says nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoInput;

impl<S: Send + Sync> FromRequest<S> for NoInput {
    type Rejection = Problem;

    async fn from_request(_: Request, _: &S) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<S, T> FromRequest<S> for Once<T>
where
    S: Send + Sync,
    T: FromRequest<S>,
    T::Rejection: Into<Problem>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let text = key(&parts.headers).map_err(malformed)?;
        let whole = Request::from_parts(parts.clone(), body);
        let body = Bytes::from_request(whole, state).await.map_err(JsonRejection::from)?;
        let key = text.map(|text| command_key(&parts, &text, &body));
        let request = Request::from_parts(parts, Body::from(body));
        let input = T::from_request(request, state).await.map_err(Into::into)?;
        Ok(Self { key, input })
    }
}

fn command_key(parts: &Parts, text: &str, body: &[u8]) -> CommandKey {
    let path = parts.uri.path();
    let route = parts.extensions.get::<MatchedPath>().map_or(path, MatchedPath::as_str);
    let scope = format!("{} {route}", parts.method);
    let query = parts.uri.query().unwrap_or_default();
    CommandKey::new(&scope, text, &[path.as_bytes(), query.as_bytes(), body])
}

fn malformed(reason: &'static str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-idempotency-key",
        "The header Idempotency-Key is no key",
    )
    .detail(reason)
}

/// The key in the headers, if there is one.
///
/// The draft wants a string in double quotes; many clients send it bare, which means the same.
fn key(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("the header stands there more than once");
    }
    let text = value.to_str().map_err(|_| "a key has printable ASCII characters only")?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => quoted(rest)?,
        None => bare(text)?,
    };
    match key.len() {
        0 => Err("a key must not be empty"),
        1..=IDEMPOTENCY_KEY_BYTES_MAX => Ok(Some(key)),
        _ => Err("a key has at most 255 characters"),
    }
}

/// What follows the opening quote of a string of RFC 8941.
fn quoted(rest: &str) -> Result<String, &'static str> {
    let mut key = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next() {
            Some('"') if chars.as_str().is_empty() => return Ok(key),
            Some('"') => return Err("something follows the closing quote"),
            Some('\\') => match chars.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err("a backslash stands before a quote or a backslash only"),
            },
            Some(c @ ' '..='~') => key.push(c),
            Some(_) => return Err("a key has printable ASCII characters only"),
            None => return Err("the closing quote is missing"),
        }
    }
}

fn bare(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',' | ';');
    if text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("a key without quotes has no blanks, commas, semicolons, quotes or backslashes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(IDEMPOTENCY_KEY, value);
        }
        key(&headers)
    }

    #[test]
    fn keys_are_strings_in_quotes_or_bare() {
        assert_eq!(read(&[]), Ok(None));
        for (value, expected) in [
            (r#""8e03978e-40d5-43e8-bc93-6894a57f9324""#, "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
            ("a:b~c", "a:b~c"),
        ] {
            assert_eq!(read(&[value]), Ok(Some(expected.to_owned())), "{value}");
        }
        let long = "k".repeat(IDEMPOTENCY_KEY_BYTES_MAX);
        assert_eq!(read(&[&long]), Ok(Some(long.clone())));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(IDEMPOTENCY_KEY_BYTES_MAX + 1);
        for value in [
            "",
            "\"\"",
            "\"a",
            "\"a\"b",
            "\"a\";x=1",
            "a b",
            "a,b",
            "a\"",
            r#""a\n""#,
            "ä",
            "\"ä\"",
            &long,
        ] {
            assert!(read(&[value]).is_err(), "{value}");
        }
        assert!(read(&["a", "a"]).is_err(), "given twice");
    }
}
