//! Lanes come and go: claims, losses, and the retries of what is held in them.

use super::Running;
use crate::{
    engine::decider::{RetryGroup, Work},
    id::SourceLane,
    log::{Found, LogError},
    runtime::Timestamp,
    service::Service,
    store::{Claim, Claimed, HeldMessage, Position},
};
use std::sync::Arc;

/// Held keys that are tried again in one go.
const RETRY_KEYS_MAX: usize = 32;

impl<S: Service> Running<S> {
    pub(super) async fn subscribe(&mut self) {
        let (log, group, topics) =
            (self.parts.log.clone(), self.parts.group.clone(), self.parts.topics.clone());
        match self.alongside(async move { log.subscribe(&group, &topics).await }).await {
            Ok(mut subscription) => {
                subscription.narrow(&self.parts.consumes);
                self.parts.status.contact(subscription.contact());
                self.subscription = Some(subscription);
                self.parts.status.trouble("log", None);
            }
            Err(error) => self.subscription_lost(&error),
        }
    }

    /// The subscription is gone; so are its lanes. A new one follows after a pause; commands go on
    /// meanwhile.
    pub(super) fn subscription_lost(&mut self, error: &LogError) {
        self.parts.status.trouble("log", Some(error.to_string()));
        self.subscription = None;
        self.parts.status.contact(None);
        let lanes: Vec<SourceLane> = self.assigned.keys().cloned().collect();
        self.revoked(&lanes);
        self.subscribe_at = self.parts.runtime.clock.now().plus(self.log_backoff.pause());
    }

    pub(super) async fn assigned(&mut self, lanes: Vec<SourceLane>) {
        let now = self.parts.runtime.clock.now();
        self.assigned.extend(lanes.into_iter().map(|lane| (lane, Some(now))));
        self.tend_lanes().await;
    }

    pub(super) fn revoked(&mut self, lanes: &[SourceLane]) {
        for lane in lanes {
            self.assigned.remove(lane);
            self.parts.status.lane_released(lane);
            self.parts.decider.drop_lane(lane);
        }
        self.full.retain(|lane| !lanes.contains(lane));
        self.parts.status.lanes(&self.parts.decider.lanes);
        self.claims_settled();
    }

    /// When no lane is still to be claimed, nothing stands in the way of reading any more.
    fn claims_settled(&self) {
        if self.assigned.values().all(Option::is_none) {
            self.parts.status.trouble("claim", None);
        }
    }

    /// Two instances that both believe that a lane is theirs would take it from each other for ever: wait,
    /// by a random time, for the group to make up its mind.
    pub(super) fn claim_again_at(&self) -> Timestamp {
        let wait = self.parts.limits.lease_ttl;
        let jitter = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let jitter = std::time::Duration::from_millis(self.parts.runtime.entropy.below(jitter));
        self.parts.runtime.clock.now().plus(wait / 2 + jitter / 2)
    }

    /// Claims the assigned lanes whose time has come, and lets full ones go on that have room again.
    pub(super) async fn tend_lanes(&mut self) {
        let now = self.parts.runtime.clock.now();
        let due: Vec<SourceLane> = self
            .assigned
            .iter()
            .filter(|(_, at)| at.is_some_and(|at| at <= now))
            .map(|(l, _)| l.clone())
            .collect();
        if !due.is_empty() {
            self.claim(due).await;
            self.claims_settled();
        }
        let max = self.parts.limits.held_keys_max;
        for lane in self.assigned.keys().cloned().collect::<Vec<_>>() {
            let (is_full, was_full) =
                (self.parts.decider.lanes.full(&lane, max), self.full.contains(&lane));
            if is_full && !was_full {
                tracing::warn!(%lane, held_keys_max = max, "too many keys are held: the lane waits");
                self.full.push(lane.clone());
                self.pause(&lane).await;
            } else if was_full && !is_full {
                self.full.retain(|l| *l != lane);
                let offset =
                    self.parts.decider.lanes.accepted(&lane).map_or(0, |mark| mark.next_offset);
                self.seek(&lane, offset).await;
            }
        }
    }

    /// The log does not answer: the lanes are claimed again after a pause, and take nothing until then.
    pub(super) fn claim_later(
        &mut self,
        lanes: impl IntoIterator<Item = SourceLane>,
        error: &LogError,
    ) {
        self.parts.status.trouble("claim", Some(error.to_string()));
        let again = self.parts.runtime.clock.now().plus(self.log_backoff.pause());
        self.assigned.extend(lanes.into_iter().map(|lane| (lane, Some(again))));
    }

    async fn learn_lanes(&mut self, lanes: &[SourceLane]) -> Result<(), LogError> {
        for SourceLane { topic, .. } in lanes {
            if !self.lanes_of.contains_key(topic) {
                let (log, name) = (self.parts.log.clone(), topic.clone());
                let count = self.alongside(async move { log.lanes_of(&name).await }).await?;
                self.lanes_of.insert(topic.clone(), count);
            }
        }
        Ok(())
    }

    async fn claim(&mut self, lanes: Vec<SourceLane>) {
        if let Err(error) = self.learn_lanes(&lanes).await {
            return self.claim_later(lanes, &error);
        }
        let claim = Claim {
            lanes: lanes.clone(),
            consumes: self.parts.consumes.clone(),
            start: self.parts.start,
            held_max: self.held_heads_max(),
        };
        let store = self.parts.store.clone();
        match self.alongside(async move { store.claim(&claim).await }).await {
            Ok(claimed) => {
                // It answers, and nothing is left that it has not answered.
                if self.commit.is_idle() {
                    self.parts.status.trouble("store", None);
                }
                for (lane, claimed) in lanes.into_iter().zip(claimed) {
                    self.claimed(lane, claimed).await;
                }
                self.parts.status.lanes(&self.parts.decider.lanes);
            }
            Err(error) => {
                self.parts.status.trouble("claim", Some(error.to_string()));
                let again = self.parts.runtime.clock.now().plus(self.commit_backoff.pause());
                for lane in lanes {
                    self.assigned.insert(lane, Some(again));
                }
            }
        }
    }

    /// A lane waits when it holds `held_keys_max` keys; what was on its way then may be held as well.
    fn held_heads_max(&self) -> usize {
        let on_its_way = self.parts.limits.batch_works_max.saturating_mul(4);
        self.parts.limits.held_keys_max.saturating_add(on_its_way).saturating_add(1)
    }

    async fn claimed(&mut self, lane: SourceLane, claimed: Claimed) {
        match claimed {
            // A key that is not known to be held would overtake itself (P11).
            Claimed::Owned { held, .. } if held.len() >= self.held_heads_max() => {
                self.assigned.insert(lane.clone(), None);
                let reason = format!(
                    "it holds {} keys or more: raise `Limits::held_keys_max`, or see to the dead messages",
                    held.len()
                );
                self.parts.decider.drop_lane(&lane);
                self.parts.status.lane_stopped(&lane, reason);
            }
            Claimed::Owned { epoch, position, held } => {
                self.assigned.insert(lane.clone(), None);
                self.parts.status.lane_released(&lane);
                // What was taken under an earlier epoch is void.
                self.parts.decider.drop_lane(&lane);
                self.parts.decider.lanes.adopt(lane.clone(), epoch, &position, held);
                self.start_reading(lane, &position).await;
            }
            Claimed::Refused { missing } => {
                self.assigned.insert(lane.clone(), None);
                let reason = format!(
                    "another version of {} consumes {} from here, and this one does not: finish the rolling upgrade",
                    S::NAME,
                    missing.join(", ")
                );
                self.parts.status.lane_stopped(&lane, reason);
            }
        }
    }

    /// Reads on from the last event that was applied, so that its id is compared first (P8).
    async fn start_reading(&mut self, lane: SourceLane, position: &Position) {
        // Without a number the offset is all there is; the log begins anew where it is beyond the end.
        if position.last_seq == 0 {
            return self.seek(&lane, position.next_offset).await;
        }
        let (log, source, seq) = (self.parts.log.clone(), lane.clone(), position.last_seq);
        let found = self.alongside(async move { log.find(&source, seq).await }).await;
        match found {
            Ok(Found::At(offset)) => self.seek(&lane, offset).await,
            // Expired, or not yet published again: the numbers tell.
            Ok(Found::Missing { .. }) => self.seek(&lane, 0).await,
            Err(error) => self.claim_later([lane], &error),
        }
    }

    pub(super) async fn seek(&mut self, lane: &SourceLane, offset: i64) {
        if let Some(subscription) = &mut self.subscription
            && let Err(error) = subscription.seek(lane, offset).await
        {
            tracing::warn!(%lane, %error, "cannot seek");
            let again = self.parts.runtime.clock.now().plus(self.log_backoff.pause());
            self.assigned.insert(lane.clone(), Some(again));
        }
    }

    pub(super) async fn pause(&mut self, lane: &SourceLane) {
        if let Some(subscription) = &mut self.subscription
            && let Err(error) = subscription.pause(lane).await
        {
            tracing::warn!(%lane, %error, "cannot pause");
        }
    }

    /// Loads the held messages whose time has come.
    pub(super) async fn retry_due(&mut self) {
        let now = self.parts.runtime.clock.now();
        // What could not be loaded is loaded by others now: its lane is theirs.
        if self.parts.decider.lanes.next_due().is_none() {
            self.parts.status.trouble("retry", None);
        }
        for (source, key) in self.parts.decider.lanes.take_due(now, RETRY_KEYS_MAX) {
            let Some(holds) = self.parts.decider.lanes.held(&source, &key).map(|held| held.holds)
            else {
                continue;
            };
            let Some(epoch) = self.parts.decider.lanes.accepted(&source).map(|mark| mark.epoch)
            else {
                continue;
            };
            let (store, limit) = (self.parts.store.clone(), self.parts.limits.retry_messages_max);
            let loaded = {
                let (source, key) = (source.clone(), key.clone());
                self.alongside(async move { store.held(&source, &key, limit).await }).await
            };
            match loaded {
                Ok(messages) => {
                    self.parts.status.trouble("retry", None);
                    self.retry(source, key, messages, holds, epoch);
                }
                Err(error) => {
                    self.parts.status.trouble("retry", Some(error.to_string()));
                    let again = now.plus(self.commit_backoff.pause());
                    self.parts.decider.lanes.due_again(source, key, again);
                }
            }
        }
    }

    fn retry(
        &mut self,
        source: SourceLane,
        key: Arc<str>,
        messages: Vec<HeldMessage>,
        holds: u64,
        epoch: u64,
    ) {
        let complete = messages.len() < self.parts.limits.retry_messages_max;
        let group = RetryGroup { source, key, messages, complete, holds, epoch, poison: None };
        self.parts.decider.push(Work::Retry(Box::new(group)));
    }
}
