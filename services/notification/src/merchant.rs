//! The merchant's server, and what is posted to it.

use std::time::Duration;

use quadrille::{
    effect::{Call, EffectError, EffectPolicy, GivenUp, Schedule},
    prelude::Performer,
    runtime::Runtime,
    webhook::{Endpoint, Webhook},
};
use schemas::{FailureReason, OrderId};
use serde::Serialize;

use crate::{Answer, End, TellMerchant, TellingEnded};

/// How long one try may take, unless told otherwise.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries at the same time, from one instance.
const CONCURRENCY: usize = 32;

/// The merchant: where the notifications go, and how often each is tried.
#[derive(Clone, Debug)]
pub struct Merchant {
    endpoint: Endpoint,
    policy: EffectPolicy,
    runtime: Runtime,
}

impl Merchant {
    /// A merchant who is told at an endpoint: at once, and after each failure by
    /// [`Schedule::notification`], with [`ATTEMPT_TIMEOUT`].
    #[must_use]
    pub fn at(endpoint: Endpoint) -> Self {
        let policy = EffectPolicy::default()
            .timeout(ATTEMPT_TIMEOUT)
            .concurrency(CONCURRENCY)
            .schedule(Schedule::notification());
        Self { endpoint, policy, runtime: Runtime::tokio() }
    }

    /// With another schedule.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.policy = self.policy.schedule(schedule);
        self
    }

    /// With another time-out of one try.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy = self.policy.timeout(timeout);
        self
    }

    /// With another clock.
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    fn ended(&self, request: &TellMerchant, attempts: u32, answer: Answer) -> TellingEnded {
        let TellMerchant { order, telling, .. } = request.clone();
        TellingEnded { order, telling, attempts, at: self.runtime.clock.now(), answer }
    }
}

impl Performer<TellMerchant> for Merchant {
    fn policy(&self) -> EffectPolicy {
        self.policy.clone()
    }

    async fn perform(
        &self,
        request: &TellMerchant,
        call: &Call,
    ) -> Result<TellingEnded, EffectError> {
        let answer = match self.endpoint.post(&self.webhook(request)?).await {
            Ok(()) => Answer::Delivered,
            // The merchant does without it: what cannot succeed ends here, and wakes nobody.
            Err(error) if error.is_hopeless() => Answer::GivenUp { reason: error.chain() },
            Err(error) => return Err(error),
        };
        Ok(self.ended(request, call.attempt, answer))
    }

    fn give_up(&self, request: &TellMerchant, last: &GivenUp) -> Option<TellingEnded> {
        let answer = Answer::GivenUp { reason: last.reason.clone() };
        Some(self.ended(request, last.attempts, answer))
    }
}

/// What a merchant reads: `docs/notification.md` promises it.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    /// When the order ended.
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    order: &'a OrderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<FailureReason>,
}

impl Merchant {
    fn webhook(&self, request: &TellMerchant) -> Result<Webhook, EffectError> {
        let (name, reason) = match request.end {
            End::Concluded => ("order.concluded", None),
            End::Failed { reason } => ("order.failed", Some(reason)),
            End::Cancelled => ("order.cancelled", None),
            End::Expired => ("order.expired", None),
        };
        let data = Data { order: &request.order, reason };
        let body = Body { r#type: name, timestamp: request.at.rfc3339(), data };
        let body = serde_json::to_vec(&body).map_err(EffectError::hopeless)?;
        Ok(Webhook {
            id: request.webhook.to_string(),
            timestamp: self.runtime.clock.now().0.div_euclid(1_000_000),
            body: body.into(),
        })
    }
}
