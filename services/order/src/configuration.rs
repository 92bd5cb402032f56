//! The order service as a process, and what it is told.

use std::{process::ExitCode, time::Duration};

use quadrille::process::{Own, OwnVariable, main_configured};

use crate::{Orders, router_with};

const FINISH_WITHIN: OwnVariable = OwnVariable {
    name: "ORDER_FINISH_WITHIN",
    form: "seconds, 1 to 31536000",
    default: "1800",
    what: "how long an order has to end; then its cancellation is asked for",
};

/// The service as a process, until a signal ends it.
pub fn run() -> ExitCode {
    main_configured(&[FINISH_WITHIN], |own| {
        let finish_within = configured(own)?;
        Some((Orders, move |client| router_with(client, finish_within)))
    })
}

/// `None` when something is wrong; `own` has the errors then.
fn configured(own: &mut Own) -> Option<Duration> {
    let within = own.read(&FINISH_WITHIN, |text| match text.parse() {
        Ok(seconds @ 1..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("is out of range; write 1 to 31536000".to_owned()),
    })?;
    Some(within.unwrap_or(crate::FINISH_WITHIN))
}
