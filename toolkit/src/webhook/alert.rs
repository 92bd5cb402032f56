//! Dead letters, told by a webhook.

use std::time::Duration;

use serde::Serialize;

use super::{Endpoint, Webhook};
use crate::{
    alert::{DeadLetter, DeadLetterTold},
    effect::{Call, EffectError, EffectPolicy, Performer, Schedule},
    runtime::Runtime,
};

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses between tries: for someone who is to be woken up, not for a shop that can wait. About a day in all.
const PAUSES_SECONDS: [u64; 9] = [1, 5, 30, 120, 600, 1_800, 3_600, 21_600, 57_600];

/// Posts each dead letter as JSON. What cannot be told is a dead letter itself, which nobody is told of.
///
/// ```json
/// {"type": "quadrille.dead_letter", "timestamp": "2026-01-02T03:04:05.000006Z",
///  "data": {"service": "payment", "letter": "message/…", "event_type": "ORDER_CREATED", "key": "o-1",
///           "saga": "0190…", "attempts": 12, "reason": "gave up after 12 attempts: …"}}
/// ```
#[derive(Clone, Debug)]
pub struct AlertWebhook {
    endpoint: Endpoint,
    policy: EffectPolicy,
    runtime: Runtime,
}

#[derive(Serialize)]
struct Told<'a> {
    r#type: &'static str,
    timestamp: String,
    data: &'a DeadLetter,
}

impl AlertWebhook {
    /// Posts to an endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let pauses = PAUSES_SECONDS.map(Duration::from_secs).to_vec();
        let policy = EffectPolicy::default()
            .timeout(TIMEOUT)
            .concurrency(4)
            .schedule(Schedule::Steps(pauses));
        Self { endpoint, policy, runtime: Runtime::tokio() }
    }

    /// With another time-out, concurrency or schedule.
    #[must_use]
    pub fn policy(mut self, policy: EffectPolicy) -> Self {
        self.policy = policy;
        self
    }
}

impl Performer<DeadLetter> for AlertWebhook {
    fn policy(&self) -> EffectPolicy {
        self.policy.clone()
    }

    async fn perform(
        &self,
        letter: &DeadLetter,
        call: &Call,
    ) -> Result<DeadLetterTold, EffectError> {
        let told = Told {
            r#type: <DeadLetter as crate::DomainEvent>::TYPE,
            timestamp: call.requested_at.rfc3339(),
            data: letter,
        };
        let body = serde_json::to_vec(&told).map_err(EffectError::hopeless)?;
        let timestamp = self.runtime.clock.now().0.div_euclid(1_000_000);
        let webhook = Webhook { id: call.key.to_string(), timestamp, body: body.into() };
        self.endpoint.post(&webhook).await?;
        Ok(DeadLetterTold {})
    }
}
