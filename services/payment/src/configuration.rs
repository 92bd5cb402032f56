//! The payment service as a process, and what it is told.

use std::{process::ExitCode, time::Duration};

use quadrille::process::{Own, OwnVariable, main_configured};

use crate::{Gateway, Payment, router_for};

const GATEWAY_URL: OwnVariable = OwnVariable {
    name: "PAYMENT_GATEWAY_URL",
    form: "http://host:port or https://host",
    default: "none: this service keeps the accounts itself",
    what: "the payment gateway that has the accounts",
};
const GATEWAY_TIMEOUT_MS: OwnVariable = OwnVariable {
    name: "PAYMENT_GATEWAY_TIMEOUT_MS",
    form: "milliseconds, 1 to 600000",
    default: "10000",
    what: "how long one call to the gateway may take before its outcome counts as unknown",
};

/// The service as a process, until a signal ends it.
pub fn run() -> ExitCode {
    main_configured(&[GATEWAY_URL, GATEWAY_TIMEOUT_MS], |own| {
        let payment = configured(own)?;
        let router = router_for(&payment);
        Some((payment, router))
    })
}

/// `None` when something is wrong; `own` has the errors then.
fn configured(own: &mut Own) -> Option<Payment> {
    let url =
        own.read(&GATEWAY_URL, |url| url.parse::<Gateway>().map_err(|error| error.to_string()))?;
    let timeout = own.read(&GATEWAY_TIMEOUT_MS, |text| match text.parse() {
        Ok(ms @ 1..=600_000) => Ok(Duration::from_millis(ms)),
        _ => Err("is out of range; write 1 to 600000".to_owned()),
    })?;
    Some(match (url, timeout) {
        (Some(gateway), Some(timeout)) => Payment::through(gateway.timeout(timeout)),
        (Some(gateway), None) => Payment::through(gateway),
        (None, _) => Payment::default(),
    })
}
