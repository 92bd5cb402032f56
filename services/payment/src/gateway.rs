//! The payment gateway, as this service calls it: over HTTP, each effect under its own idempotency key.
//!
//! What is known after a call decides what happens next. A refusal is an outcome. A connection that was
//! refused has moved no money. Everything else (a time-out, a lost answer, a 5xx) may have: the gateway is
//! asked what it did under the key before anything is sent again.

mod call;
mod perform;

use std::{fmt, str::FromStr, time::Duration};

pub(crate) use perform::NoGateway;
use quadrille::effect::{EffectPolicy, Schedule};

use self::call::Line;

/// Calls at the same time, from one instance.
const CONCURRENCY: usize = 64;

/// A payment gateway at an address.
#[derive(Clone)]
pub struct Gateway {
    line: Line,
    policy: EffectPolicy,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gateway at {}", self.line.base())
    }
}

impl Gateway {
    /// With another time-out for one call. 10 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy = self.policy.timeout(timeout);
        self
    }

    /// With another schedule for tries that had no outcome. The effects' default pauses by default.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.policy = self.policy.schedule(schedule);
        self
    }
}

/// No address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAGateway(String);

impl fmt::Display for NotAGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAGateway {}

impl FromStr for Gateway {
    type Err = NotAGateway;

    /// Reads `http://host:port` or `https://host`, with a path in front of the gateway's own where it has one.
    fn from_str(url: &str) -> Result<Self, NotAGateway> {
        let line = Line::to(url).map_err(NotAGateway)?;
        Ok(Self { line, policy: EffectPolicy::default().concurrency(CONCURRENCY) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_with_a_host() {
        for good in ["http://127.0.0.1:8090", "http://pay.internal/v1/", "http://[::1]:80"] {
            assert!(good.parse::<Gateway>().is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:8090", "http://", "http://h/?q", "ftp://h"] {
            assert!(bad.parse::<Gateway>().is_err(), "{bad}");
        }
    }
}
