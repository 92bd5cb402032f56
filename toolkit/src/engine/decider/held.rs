//! Failures: parked, dead, and what waits behind them (P11, P12).

use std::{sync::Arc, time::Duration};

use super::{Decider, work::Via};
use crate::{
    alert::DeadLetter,
    engine::{lanes::HeldKey, limits::RetryPolicy},
    error::{FailureKind, HandlerError},
    handler::Behind,
    id::SourceLane,
    log::{
        LogRecord,
        record::{self, Malformed, Message},
    },
    mutant::{Mutant, broken},
    runtime::Timestamp,
    service::Service,
    store::{HeldChange, HeldMessage, HeldState, LetterId},
};

impl<S: Service> Decider<S> {
    /// A message's handler failed: it is parked, or dead when trying again cannot help.
    pub(super) fn fail_message(&mut self, message: &Message, via: Via, error: &HandlerError) {
        let now = self.runtime.clock.now();
        let (before, held_at) = match via {
            Via::Lane => (0, now),
            Via::Held { attempts, held_at, .. } => (attempts, held_at),
        };
        let attempts = before + 1;
        let (own, behind) = self.dispatch.after_failure(&self.service, &message.event_type);
        let policy = own.unwrap_or_else(|| self.retry.clone());
        let (parked, reason) = judge(&policy, error, attempts, Some(now.since(held_at)));
        let state = match (parked, behind) {
            (true, _) => HeldState::Parked,
            (false, Behind::Wait) => HeldState::Dead,
            (false, Behind::Pass) => HeldState::Aside,
        };
        let next_at = match state {
            HeldState::Parked => {
                now.plus(policy.delay(attempts, self.runtime.entropy.below(u64::MAX)))
            }
            _ => now,
        };
        self.count_failure(state, error.kind());
        if !parked {
            self.alert(&DeadLetter {
                service: S::NAME.to_owned(),
                letter: letter_id(&message.source, &message.id.to_string()),
                event_type: message.event_type.to_string(),
                key: message.key.to_string(),
                saga: Some(message.saga.to_string()),
                attempts,
                reason: reason.clone(),
            });
        }
        let (saga, event_type, id) = (message.saga, message.event_type.clone(), message.id);
        let why = reason.clone();
        self.say_once_committed(
            move || tracing::warn!(%saga, %event_type, %id, attempts, ?state, reason = %why, "message failed"),
        );
        let name = (message.source.clone(), message.key.clone());
        let holds = self.held(&name.0, &name.1).map_or(0, |held| held.holds);
        let change = match via {
            Via::Lane => HeldChange::Hold(Box::new(HeldMessage {
                state,
                attempts,
                next_at,
                reason,
                ..as_held(message, now)
            })),
            Via::Held { attempts, .. } => HeldChange::Update {
                source: message.source.clone(),
                id: message.id.to_string(),
                attempts,
                new_attempts: attempts + 1,
                state,
                next_at,
                reason,
            },
        };
        if state == HeldState::Aside {
            // Nothing waits behind it: what follows in this retry goes on.
            self.open.guarded.insert(name.0);
            return self.open.held_changes.push(change);
        }
        if matches!(via, Via::Held { .. }) {
            self.open.retry_failed.insert(name.clone());
        }
        self.hold(name, HeldKey { state, next_at, holds }, change);
    }

    /// Keeps a line for the log of this process until the batch is committed: what is decided again on a newer
    /// state mostly does not fail, and nobody is to hear of it (P15).
    pub(super) fn say_once_committed(&mut self, line: impl FnOnce() + Send + 'static) {
        self.open.lines.push(Box::new(line));
    }

    fn count_failure(&mut self, state: HeldState, kind: FailureKind) {
        match state {
            HeldState::Dead | HeldState::Aside => self.open.outcomes.dead += 1,
            HeldState::Parked | HeldState::Waiting => self.open.outcomes.parked += 1,
        }
        if kind == FailureKind::Bug {
            self.open.outcomes.bugs += 1;
        }
    }

    /// An earlier message of the key is held: this one waits behind it, in order.
    pub(super) fn hold_behind(&mut self, message: &Message) {
        let now = self.runtime.clock.now();
        let Some(mut held) = self.held(&message.source, &message.key) else { return };
        held.holds += 1;
        let waiting = HeldMessage {
            reason: "waits behind an earlier message of its key".to_owned(),
            ..as_held(message, now)
        };
        self.hold(
            (message.source.clone(), message.key.clone()),
            held,
            HeldChange::Hold(Box::new(waiting)),
        );
    }

    pub(super) fn bury_unreadable(&mut self, message: HeldMessage) {
        self.count_failure(HeldState::Dead, FailureKind::Terminal);
        let (lane, offset, why) = (message.source.clone(), message.offset, message.reason.clone());
        self.say_once_committed(
            move || tracing::warn!(%lane, offset, reason = %why, "record cannot be read"),
        );
        self.alert(&DeadLetter {
            service: S::NAME.to_owned(),
            letter: letter_id(&message.source, &message.id),
            event_type: message.event_type.clone(),
            key: message.key.to_string(),
            saga: message.saga.clone(),
            attempts: message.attempts,
            reason: message.reason.clone(),
        });
        let name = (message.source.clone(), message.key.clone());
        let change = HeldChange::Hold(Box::new(message));
        if name.1.is_empty() {
            self.open.guarded.insert(name.0);
            self.open.held_changes.push(change);
        } else {
            let holds = self.held(&name.0, &name.1).map_or(0, |held| held.holds) + 1;
            let held = HeldKey { state: HeldState::Dead, next_at: self.runtime.clock.now(), holds };
            let held =
                self.held(&name.0, &name.1).map_or(held, |before| HeldKey { holds, ..before });
            self.hold(name, held, change);
        }
    }

    /// The time of a held message has come, and it cannot be read: what this program understands has changed, or
    /// a person has replayed what never could be read. It is dead, visibly; what follows waits or passes.
    pub(super) fn bury_stuck(&mut self, held: &HeldMessage, reason: &str) {
        let name = (held.source.clone(), held.key.clone());
        if held.state == HeldState::Dead {
            return self.stand_still(name);
        }
        if self.open.retry_failed.contains(&name) {
            return;
        }
        let now = self.runtime.clock.now();
        let reason = format!("it cannot be read: {reason}");
        let attempts = held.attempts + 1;
        let (_, behind) = self.dispatch.after_failure(&self.service, &held.event_type);
        let state = if behind == Behind::Pass { HeldState::Aside } else { HeldState::Dead };
        self.count_failure(state, FailureKind::Terminal);
        let (lane, id, why) = (held.source.clone(), held.id.clone(), reason.clone());
        self.say_once_committed(
            move || tracing::warn!(%lane, %id, attempts, ?state, reason = %why, "held message cannot be read"),
        );
        self.alert(&DeadLetter {
            service: S::NAME.to_owned(),
            letter: letter_id(&held.source, &held.id),
            event_type: held.event_type.clone(),
            key: held.key.to_string(),
            saga: held.saga.clone(),
            attempts,
            reason: reason.clone(),
        });
        let change = HeldChange::Update {
            source: held.source.clone(),
            id: held.id.clone(),
            attempts: held.attempts,
            new_attempts: attempts,
            state,
            next_at: now,
            reason,
        };
        if state == HeldState::Aside {
            self.open.guarded.insert(name.0);
            return self.open.held_changes.push(change);
        }
        let holds = self.held(&name.0, &name.1).map_or(0, |held| held.holds);
        self.open.retry_failed.insert(name.clone());
        self.hold(name, HeldKey { state, next_at: now, holds }, change);
    }

    fn hold(&mut self, name: (SourceLane, Arc<str>), held: HeldKey, change: HeldChange) {
        self.open.guarded.insert(name.0.clone());
        self.open.held_changes.push(change);
        self.open.held.insert(name, Some(held));
    }

    /// A retry has come to a message that waits for a person: nothing of its key is tried until then.
    pub(super) fn stand_still(&mut self, name: (SourceLane, Arc<str>)) {
        if !self.open.retry_failed.contains(&name)
            && let Some(held) = self.held(&name.0, &name.1)
        {
            self.open.held.insert(name.clone(), Some(HeldKey { state: HeldState::Dead, ..held }));
            self.open.retry_failed.insert(name);
        }
    }

    /// A person has ruled on a dead message: what is held of its key is due.
    pub(super) fn try_ruled(&mut self, name: (SourceLane, Arc<str>)) {
        let holds = self.held(&name.0, &name.1).map_or(0, |held| held.holds);
        let due = HeldKey { state: HeldState::Parked, next_at: self.runtime.clock.now(), holds };
        self.open.held.insert(name, Some(due));
    }

    /// A held message was handled.
    pub(super) fn release(&mut self, message: &Message, attempts: u32) {
        self.open.guarded.insert(message.source.clone());
        let change = HeldChange::Release {
            source: message.source.clone(),
            id: message.id.to_string(),
            attempts,
        };
        self.open.held_changes.push(change);
    }

    /// After the tasks of a retry: the key is free when all of its messages were handled.
    pub(super) fn end_retry(
        &mut self,
        source: SourceLane,
        key: Arc<str>,
        complete: bool,
        holds: u64,
    ) {
        let name = (source, key);
        if self.open.retry_failed.contains(&name) {
            return;
        }
        let Some(held) = self.held(&name.0, &name.1) else { return };
        let whole = held.holds == holds || broken(Mutant::LateFollowerForgotten);
        let after = if complete && whole {
            None
        } else {
            Some(HeldKey {
                state: HeldState::Waiting,
                next_at: self.runtime.clock.now(),
                holds: held.holds,
            })
        };
        self.open.held.insert(name, after);
    }
}

/// Whether it is tried again, and why it is held. `since` its first failure, where that is bounded too.
pub(super) fn judge(
    policy: &RetryPolicy,
    error: &HandlerError,
    attempts: u32,
    since: Option<Duration>,
) -> (bool, String) {
    let chain = error.chain();
    match (error.kind(), since) {
        (FailureKind::Retryable, _) if broken(Mutant::RetryableIsDead) => (false, chain),
        (FailureKind::Retryable, _) if attempts >= policy.attempts_max => {
            (false, format!("gave up after {attempts} attempts: {chain}"))
        }
        (FailureKind::Retryable, Some(since)) if since >= policy.total_max => {
            (false, format!("gave up after {} s: {chain}", since.as_secs()))
        }
        (FailureKind::Retryable, _) => (true, chain),
        (FailureKind::Terminal, _) => (false, format!("terminal: {chain}")),
        (FailureKind::Bug, _) => (false, format!("bug: {chain}")),
    }
}

fn letter_id(source: &SourceLane, id: &str) -> String {
    LetterId::Message { source: source.clone(), id: id.to_owned() }.to_string()
}

fn as_held(message: &Message, now: Timestamp) -> HeldMessage {
    HeldMessage {
        source: message.source.clone(),
        id: message.id.to_string(),
        key: message.key.clone(),
        seq: message.seq,
        offset: message.offset,
        event_type: message.event_type.to_string(),
        saga: Some(message.saga.to_string()),
        headers: record::headers_to_json(&message.headers),
        payload: message.payload.clone(),
        state: HeldState::Waiting,
        attempts: 0,
        held_at: now,
        next_at: now,
        reason: String::new(),
    }
}

/// A record that cannot be read, as it is stored for a person.
pub(crate) fn unreadable(record: &LogRecord, malformed: &Malformed, now: Timestamp) -> HeldMessage {
    let is_known = malformed.seq.is_some() || malformed.foreign.is_some();
    HeldMessage {
        source: record.source.clone(),
        // Two records without a number may carry the same id, and neither may hide the other.
        id: malformed
            .id
            .filter(|_| is_known)
            .map_or_else(|| fingerprint(record), |id| id.to_string()),
        key: malformed.key.clone().filter(|_| is_known).unwrap_or_else(|| "".into()),
        seq: malformed.seq.unwrap_or(0),
        offset: record.offset,
        event_type: malformed.event_type.as_deref().unwrap_or_default().to_owned(),
        saga: malformed.saga.map(|saga| saga.to_string()),
        headers: record::headers_to_json(&record.headers),
        payload: record.value.clone(),
        state: HeldState::Dead,
        attempts: 1,
        held_at: now,
        next_at: now,
        reason: malformed.reason.clone(),
    }
}

/// Names a record that has no id of its own, the same way each time that it is read.
fn fingerprint(record: &LogRecord) -> String {
    // FNV-1a: it tells two records of one offset apart, and nobody relies on more.
    let headers = record.headers.iter().flat_map(|h| h.name.bytes().chain(h.value.iter().copied()));
    let hash = record
        .key
        .iter()
        .copied()
        .chain(record.value.iter().copied())
        .chain(headers)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("offset-{}-{hash:016x}", record.offset)
}
