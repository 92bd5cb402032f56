//! The notification service as a process, and what it is told.

use std::{process::ExitCode, time::Duration};

use quadrille::{
    effect::Schedule,
    process::{Own, OwnVariable, main_configured},
    webhook::{Endpoint, Secret},
};

use crate::{Merchant, Notifications, router};

const MERCHANT_URL: OwnVariable = OwnVariable {
    name: "NOTIFICATION_MERCHANT_URL",
    form: "http[s]://host[:port]/path",
    default: "none: it must be set",
    what: "where the merchant takes notifications; its path may be a secret, and it is never shown",
};
const MERCHANT_SECRET: OwnVariable = OwnVariable {
    name: "NOTIFICATION_MERCHANT_SECRET",
    form: "whsec_ and the base64 of 24 to 64 random bytes",
    default: "none: it must be set",
    what: "the key of the signatures, which the merchant has too; never shown",
};
const SCHEDULE: OwnVariable = OwnVariable {
    name: "NOTIFICATION_SCHEDULE",
    form: "pauses after failed tries, as in 1m 5m 10m; units are ms, s, m, h and d",
    default: "1m 5m 10m 30m 1h 2h 5h 10h",
    what: "when a notification that was not taken is tried again; after the last it is given up",
};
const TIMEOUT_MS: OwnVariable = OwnVariable {
    name: "NOTIFICATION_TIMEOUT_MS",
    form: "milliseconds, 1 to 600000",
    default: "10000",
    what: "how long the merchant's server may take for one notification",
};

/// The service as a process, until a signal ends it.
pub fn run() -> ExitCode {
    main_configured(&[MERCHANT_URL, MERCHANT_SECRET, SCHEDULE, TIMEOUT_MS], |own| {
        Some((Notifications { merchant: configured(own)? }, router))
    })
}

/// `None` when something is wrong; `own` has the errors then.
fn configured(own: &mut Own) -> Option<Merchant> {
    let url = own.read_secret(&MERCHANT_URL, |url| {
        Endpoint::new(url, None).map_err(|error| error.to_string())
    });
    let url = own.required(&MERCHANT_URL, url);
    let secret = own.read_secret(&MERCHANT_SECRET, |text| {
        Secret::parse(text).map_err(|error| error.to_string())
    });
    let secret = own.required(&MERCHANT_SECRET, secret);
    let schedule =
        own.read(&SCHEDULE, |text| text.parse::<Schedule>().map_err(|error| error.to_string()));
    let timeout = own.read(&TIMEOUT_MS, |text| match text.parse() {
        Ok(ms @ 1..=600_000) => Ok(Duration::from_millis(ms)),
        _ => Err("is out of range; write 1 to 600000".to_owned()),
    });
    // Only now: all that is wrong is told at once.
    let mut merchant = Merchant::at(url?.signed(secret?));
    if let Some(schedule) = schedule? {
        merchant = merchant.schedule(schedule);
    }
    if let Some(timeout) = timeout? {
        merchant = merchant.timeout(timeout);
    }
    Some(merchant)
}
