//! The tries of effects, as they are recorded and read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    barrier,
    event::Effect,
    id::AgendaId,
    runtime::Timestamp,
    store::{AgendaItem, AgendaKind, AgendaState, RecordedEvent},
};

/// One try of an effect that had no outcome, as it is recorded under the effect's key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tried<'a> {
    pub(crate) effect: Cow<'a, str>,
    pub(crate) id: AgendaId,
    pub(crate) attempt: u32,
    pub(crate) reason: Cow<'a, str>,
}

/// What has become so far of the effects of one type under one key: see
/// [`Client::tries`](crate::engine::Client::tries).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tries {
    /// The tries that had no outcome and were followed by a pause or a person, in the order of time. One that
    /// brought the outcome is not among them, and neither is the one after which the performer gave up.
    pub failed: Vec<FailedTry>,
    /// The effects that have no outcome yet.
    pub open: Vec<OpenEffect>,
}

/// A try without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedTry {
    /// Of which effect: the key of its [`Call`](super::Call)s.
    pub effect: AgendaId,
    /// From 1.
    pub attempt: u32,
    /// When that was recorded.
    pub at: Timestamp,
    /// The error, with its sources.
    pub reason: String,
}

/// An effect without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenEffect {
    /// The key of its [`Call`](super::Call)s.
    pub effect: AgendaId,
    /// When it is tried next; `None` when it waits for a person.
    pub due: Option<Timestamp>,
}

impl Tries {
    /// From the events of the key's stream, and what the agenda has of the saga.
    pub(crate) fn of<E: Effect>(
        key: &str,
        events: &[RecordedEvent],
        agenda: &[AgendaItem],
    ) -> Self {
        let tries = events.iter().filter(|event| &*event.event_type == barrier::EFFECT_TRIED);
        let failed = tries.filter_map(|event| {
            let tried: Tried<'_> = serde_json::from_slice(&event.payload).ok()?;
            let Tried { effect, id, attempt, reason } = tried;
            let (at, reason) = (event.time, reason.into_owned());
            (effect == E::TYPE).then_some(FailedTry { effect: id, attempt, at, reason })
        });
        let open = agenda.iter().filter(|item| {
            item.kind == AgendaKind::Effect && item.name == E::TYPE && &*item.key == key
        });
        let open = open.map(|item| OpenEffect {
            effect: item.id,
            due: (item.state == AgendaState::Pending).then_some(item.due),
        });
        Self { failed: failed.collect(), open: open.collect() }
    }
}
