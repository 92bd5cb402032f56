//! Who may use the operator's interface.
//!
//! It can skip a payment's event, so nobody gets at it unless somebody has said so: without an
//! [`OperatorAccess`] in the request (an axum extension of the whole router) it answers 403.

use std::{fmt, hint::black_box, net::SocketAddr, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::Problem;

/// The shortest token that is taken, in bytes.
pub const TOKEN_BYTES_MIN: usize = 16;

/// Who may use the operator's interface. Put it on the router of a service that does not run by
/// `quadrille::process`: `router.layer(axum::Extension(OperatorAccess::local()))`.
#[derive(Clone, Default)]
pub struct OperatorAccess(Rule);

#[derive(Clone, Default)]
enum Rule {
    #[default]
    Nobody,
    Local,
    Token(Arc<str>),
}

impl OperatorAccess {
    /// Nobody: the default.
    #[must_use]
    pub fn nobody() -> Self {
        Self(Rule::Nobody)
    }

    /// Whoever is on this machine. For an interface that listens on loopback only. A request must also name this
    /// machine as its host, so that no web page can make a browser send it.
    #[must_use]
    pub fn local() -> Self {
        Self(Rule::Local)
    }

    /// Whoever shows this token: `Authorization: Bearer …`. Tokens shorter than [`TOKEN_BYTES_MIN`] let nobody in.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self(if token.len() < TOKEN_BYTES_MIN { Rule::Nobody } else { Rule::Token(token.into()) })
    }

    /// By the token where there is one, else by whether the address is of this machine alone.
    #[must_use]
    pub fn of(address: SocketAddr, token: Option<&str>) -> Self {
        match token {
            Some(token) => Self::token(token),
            None if address.ip().is_loopback() => Self::local(),
            None => Self::nobody(),
        }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match &self.0 {
            Rule::Nobody => Err(closed(
                "nobody may use it here: set QUADRILLE_OPERATOR_TOKEN and send it as a bearer token, or let the \
                 service listen on loopback, such as QUADRILLE_HTTP_ADDRESS=127.0.0.1:8080",
            )),
            Rule::Local if is_local(headers) => Ok(()),
            Rule::Local => Err(closed(
                "it is for this machine only: ask for it as localhost or 127.0.0.1, or set \
                 QUADRILLE_OPERATOR_TOKEN and send it as a bearer token",
            )),
            Rule::Token(token) => match bearer(headers) {
                Some(shown) if same(shown, token) => Ok(()),
                Some(_) => Err(unknown_token("this token is not the service's")),
                None => Err(unknown_token("send the token: `Authorization: Bearer …`")),
            },
        }
    }
}

impl fmt::Debug for OperatorAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::Nobody => "nobody",
            Rule::Local => "this machine",
            Rule::Token(_) => "whoever has the token",
        })
    }
}

/// Lets through who may.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let access = request.extensions().get::<OperatorAccess>().cloned().unwrap_or_default();
    match access.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let status = problem.status();
            let mut response = problem.into_response();
            if status == StatusCode::UNAUTHORIZED {
                let scheme = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    }
}

fn closed(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "operator-closed", "The operator's interface is closed")
        .detail(detail)
}

fn unknown_token(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "operator-token", "The operator's token is wrong")
        .detail(detail)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A page on the web can point a name of its own at this machine, but not make the browser lie about the name.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Takes as long for a wrong token as for the right one of the same length.
fn same(shown: &str, token: &str) -> bool {
    if shown.len() != token.len() {
        return false;
    }
    let bytes = shown.bytes().zip(token.bytes());
    black_box(bytes.fold(0, |difference, (a, b)| black_box(difference | (a ^ b)))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn status(access: &OperatorAccess, name: header::HeaderName, value: &str) -> u16 {
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        access.check(&headers).err().map_or(200, |problem| problem.status().as_u16())
    }

    #[test]
    fn without_a_token_it_is_open_on_loopback_alone() {
        let open = |address: &str| {
            let access = OperatorAccess::of(address.parse().unwrap(), None);
            status(&access, header::HOST, "localhost:8080") == 200
        };
        assert!(open("127.0.0.1:8080") && open("[::1]:8080"));
        assert!(!open("0.0.0.0:8080") && !open("10.0.0.1:8080") && !open("[::]:8080"));
        let nobody = OperatorAccess::default();
        assert_eq!(status(&nobody, header::AUTHORIZATION, &format!("Bearer {TOKEN}")), 403);
    }

    #[test]
    fn a_local_request_names_this_machine() {
        let local = OperatorAccess::local();
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.0.0.1", "[::1]:80", "[::1]"] {
            assert_eq!(status(&local, header::HOST, host), 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:80", "10.0.0.1", ""] {
            assert_eq!(status(&local, header::HOST, host), 403, "{host}");
        }
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        let access = OperatorAccess::of("127.0.0.1:1".parse().unwrap(), Some(TOKEN));
        assert_eq!(status(&access, header::AUTHORIZATION, &format!("Bearer {TOKEN}")), 200);
        assert_eq!(status(&access, header::AUTHORIZATION, &format!("bearer {TOKEN}")), 200);
        for wrong in ["Bearer 0123456789abcdeX", "Bearer 0123456789abcde", "Bearer ", TOKEN] {
            assert_eq!(status(&access, header::AUTHORIZATION, wrong), 401, "{wrong}");
        }
        assert_eq!(status(&access, header::HOST, "localhost"), 401);
        assert!(!format!("{access:?}").contains(TOKEN));
        let short = OperatorAccess::token("short");
        assert_eq!(status(&short, header::AUTHORIZATION, "Bearer short"), 403);
    }
}
