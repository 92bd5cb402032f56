//! What a turn asks of the time to come: deadlines and effects, before they have a saga and an id.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::event::{Deadline, DomainEvent, Effect};

/// A deadline or an effect that was decided. Its payload bytes are final.
#[derive(Clone, Debug)]
pub(crate) struct AgendaDraft {
    pub(crate) name: &'static str,
    pub(crate) key: Arc<str>,
    pub(crate) wish: Wish,
}

/// What is wished for.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// A deadline, so long after the turn.
    Set { after: Duration, payload: Bytes },
    /// No deadline of this name and key any more.
    Clear,
    /// An effect, at once.
    Request { payload: Bytes },
}

impl AgendaDraft {
    pub(crate) fn set<D: Deadline>(deadline: &D, after: Duration) -> Result<Self, String> {
        let payload = payload(deadline)?;
        Ok(Self { name: D::TYPE, key: key(deadline), wish: Wish::Set { after, payload } })
    }

    pub(crate) fn clear<D: Deadline>(key: &str) -> Self {
        Self { name: D::TYPE, key: key.into(), wish: Wish::Clear }
    }

    pub(crate) fn request<E: Effect>(effect: &E) -> Result<Self, String> {
        let payload = payload(effect)?;
        Ok(Self { name: E::TYPE, key: key(effect), wish: Wish::Request { payload } })
    }

    /// What the store and the handler could not take.
    pub(crate) fn check(&self, event_bytes_max: usize) -> Result<(), String> {
        let bytes = match &self.wish {
            Wish::Set { payload, .. } | Wish::Request { payload } => payload.len(),
            Wish::Clear => 0,
        };
        if bytes > event_bytes_max {
            return Err(format!(
                "{} has {bytes} bytes, above the limit of {event_bytes_max} bytes (`Limits::event_bytes_max`)",
                self.name
            ));
        }
        crate::barrier::stream(&self.key)
            .map(drop)
            .map_err(|e| format!("{} has a bad key: {e}", self.name))
    }
}

fn key<E: DomainEvent>(event: &E) -> Arc<str> {
    event.key().unwrap_or_default().into()
}

fn payload<E: DomainEvent>(event: &E) -> Result<Bytes, String> {
    serde_json::to_vec(event)
        .map(Bytes::from)
        .map_err(|error| format!("{} cannot be serialised: {error}", E::TYPE))
}
