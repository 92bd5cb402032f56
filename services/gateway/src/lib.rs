//! A payment gateway: accounts with funds, charges, refunds and voids over HTTP, each under an idempotency
//! key. It stands for the world outside, so it knows nothing of those who call it, and it can be told to
//! misbehave: to be slow, to fail before or after it did what it was asked, to lose its answer.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /accounts/{id}` `{"minor": 5000, "currency": "EUR"}` | opens it, or sets what it has |
//! | `GET /accounts/{id}` | what it has, what was charged and refunded |
//! | `POST /charges` `{"account", "amount", "reference"}` | `{"status": "approved" \| "declined" \| "voided", …}` |
//! | `GET /charges/{key}` | the same answer, if it did it; 404 if it did not |
//! | `POST /refunds` `{"charge", "amount"}` | `{"status": "refunded" \| "refused", …}` |
//! | `GET /refunds/{key}` | as for charges |
//! | `POST /voids` | under the charge's key: `{"status": "voided" \| "too_late"}` |
//! | `GET /totals` | sums of all that was done, and of the trouble that was made |
//! | `GET`/`PUT /trouble` | how it misbehaves, see [`Trouble`] |
//!
//! Every `POST` needs an `Idempotency-Key`. The same key with the same body gets the first answer again;
//! with another body it is 422. A void that comes before its charge leaves a tombstone: the charge is
//! refused when it arrives. A refusal is an answer, with status 200: only 4xx and 5xx are failures.

mod books;
mod entries;
mod http;
mod journal;
mod office;
mod program;
mod serve;
mod totals;
mod trouble;

pub use books::Unfit;
pub use entries::{
    Amount, Balance, Charge, ChargeAnswer, ChargeRequest, Decline, MINOR_MAX, Refund, RefundAnswer,
    RefundRefusal, RefundRequest, VoidAnswer,
};
pub use journal::JournalError;
pub use office::{EntryError, Office};
pub use program::run;
pub use serve::{CONNECTIONS_MAX, Serving, serve};
pub use totals::{Sums, Totals};
pub use trouble::{DELAY_MS_MAX, Made, Trouble};
