//! What the order service is told as a process.

use std::time::Duration;

use quadrille::process::{Own, OwnVariable};

const FINISH_WITHIN: OwnVariable = OwnVariable {
    name: "ORDER_FINISH_WITHIN",
    form: "seconds, 1 to 31536000",
    default: "1800",
    what: "how long an order has to end; then its cancellation is asked for",
};

/// The variables that are this service's own.
pub const VARIABLES: &[OwnVariable] = &[FINISH_WITHIN];

/// How long an order has to end, as the variables say. `None` when something is wrong; `own` has the errors
/// then.
pub fn configured(own: &mut Own) -> Option<Duration> {
    let within = own.read(&FINISH_WITHIN, |text| match text.parse() {
        Ok(seconds @ 1..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("is out of range; write 1 to 31536000".to_owned()),
    })?;
    Some(within.unwrap_or(crate::FINISH_WITHIN))
}
