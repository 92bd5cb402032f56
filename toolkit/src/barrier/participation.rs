//! The stream of a key: what this service stated under it, and where each step stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{AggregateType, AnyState, Draft, FoldError},
    event::DomainEvent,
    id::{SagaId, StreamId},
    runtime::Timestamp,
    store::RecordedEvent,
};

const STARTED: &str = "quadrille.step_started";
const DONE: &str = "quadrille.step_done";
const REFUSED: &str = "quadrille.step_refused";
const FORESTALLED: &str = "quadrille.step_forestalled";
const SUSPENDED: &str = "quadrille.step_suspended";
const UNDO_ASKED: &str = "quadrille.step_undo_asked";
const UNDONE: &str = "quadrille.step_undone";
/// A try of an effect had no outcome.
pub(crate) const EFFECT_TRIED: &str = "quadrille.effect_tried";

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// Never asked for.
    Nothing,
    /// Begun; the outcome is not known yet.
    UnderWay {
        /// Its compensation has come meanwhile: it will be undone at the outcome.
        undo_asked: bool,
    },
    /// Done.
    Done,
    /// Asked for, and refused by the business.
    Refused,
    /// Done and undone.
    Undone,
    /// The compensation came first: a late action is refused.
    Tombstone,
}

/// An event that this service stated under the key: public ones, deadlines that fired, outcomes of effects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stated {
    /// The saga.
    pub saga: SagaId,
    /// The event's type name.
    pub event_type: String,
    /// Its JSON payload.
    pub payload: String,
    /// When it was decided.
    pub time: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Step {
    saga: SagaId,
    step: String,
    state: StepState,
    /// The payload of a step's event that was stated in another stream.
    payload: Option<String>,
}

/// What a service has stated under one key, and where its steps stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Participation {
    stated: Vec<Stated>,
    steps: Vec<Step>,
}

impl Participation {
    /// The events stated under this key, in order.
    #[must_use]
    pub fn stated(&self) -> &[Stated] {
        &self.stated
    }

    /// The last event `E` stated under this key.
    ///
    /// # Errors
    /// Its payload does not fit `E`.
    pub fn last<E: DomainEvent>(&self) -> Result<Option<E>, serde_json::Error> {
        let stated = self.stated.iter().rfind(|stated| stated.event_type == E::TYPE);
        stated.map(|stated| serde_json::from_str(&stated.payload)).transpose()
    }

    /// Where a step stands.
    #[must_use]
    pub fn step(&self, saga: SagaId, step: &str) -> StepState {
        match self.steps.iter().find(|s| s.saga == saga && s.step == step) {
            Some(step) => step.state,
            None if self.stated_payload(saga, step).is_some() => StepState::Done,
            None => StepState::Nothing,
        }
    }

    /// The payload of the event of a step, or of any public event stated here.
    pub(crate) fn payload(&self, saga: SagaId, event_type: &str) -> Option<&[u8]> {
        let marked = self.steps.iter().find(|s| s.saga == saga && s.step == event_type);
        marked
            .and_then(|s| s.payload.as_deref())
            .or_else(|| self.stated_payload(saga, event_type))
            .map(str::as_bytes)
    }

    fn stated_payload(&self, saga: SagaId, event_type: &str) -> Option<&str> {
        self.stated
            .iter()
            .find(|s| s.saga == saga && s.event_type == event_type)
            .map(|s| s.payload.as_str())
    }

    /// Folds one event of the stream.
    pub(crate) fn fold(
        &mut self,
        saga: SagaId,
        event_type: &str,
        payload: &[u8],
        time: Timestamp,
    ) -> Result<(), serde_json::Error> {
        let state = match event_type {
            STARTED => StepState::UnderWay { undo_asked: false },
            UNDO_ASKED => StepState::UnderWay { undo_asked: true },
            DONE => StepState::Done,
            REFUSED => StepState::Refused,
            FORESTALLED => StepState::Tombstone,
            UNDONE => StepState::Undone,
            // Says why nothing happened; the tombstone stands.
            SUSPENDED | EFFECT_TRIED => return Ok(()),
            _ => {
                let payload = String::from_utf8_lossy(payload).into_owned();
                self.outcome_stated(saga, event_type);
                self.stated.push(Stated { saga, event_type: event_type.to_owned(), payload, time });
                return Ok(());
            }
        };
        let body: Body = serde_json::from_slice(payload)?;
        self.set(saga, body, state);
        Ok(())
    }

    /// A step under way whose event is stated is done.
    fn outcome_stated(&mut self, saga: SagaId, event_type: &str) {
        if let Some(step) = self.steps.iter_mut().find(|s| s.saga == saga && s.step == event_type) {
            step.state = StepState::Done;
        }
    }

    fn set(&mut self, saga: SagaId, body: Body, state: StepState) {
        match self.steps.iter_mut().find(|s| s.saga == saga && s.step == body.step) {
            Some(step) => {
                step.state = state;
                step.payload = body.payload.or(step.payload.take());
            }
            None => self.steps.push(Step { saga, step: body.step, state, payload: body.payload }),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Body {
    step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

/// A private event of the toolkit in a participation's stream.
pub(crate) struct Marker {
    event_type: &'static str,
    body: Body,
}

impl Marker {
    fn new(event_type: &'static str, step: &str) -> Self {
        Self { event_type, body: Body { step: step.to_owned(), payload: None } }
    }

    pub(crate) fn started(step: &str) -> Self {
        Self::new(STARTED, step)
    }

    pub(crate) fn refused(step: &str) -> Self {
        Self::new(REFUSED, step)
    }

    pub(crate) fn forestalled(step: &str) -> Self {
        Self::new(FORESTALLED, step)
    }

    pub(crate) fn suspended(step: &str) -> Self {
        Self::new(SUSPENDED, step)
    }

    pub(crate) fn undo_asked(step: &str) -> Self {
        Self::new(UNDO_ASKED, step)
    }

    pub(crate) fn undone(step: &str) -> Self {
        Self::new(UNDONE, step)
    }

    pub(crate) fn done(step: &str, payload: &[u8]) -> Self {
        let mut marker = Self::new(DONE, step);
        marker.body.payload = Some(String::from_utf8_lossy(payload).into_owned());
        marker
    }

    pub(crate) fn draft(&self, stream: StreamId) -> Draft {
        // A struct of strings serialises.
        let payload = serde_json::to_vec(&self.body).unwrap_or_default().into();
        Draft { stream, event_type: self.event_type, payload, key: None, fault: None }
    }

    pub(crate) fn is(&self, draft: &Draft) -> bool {
        draft.event_type == self.event_type
            && serde_json::from_slice::<Body>(&draft.payload)
                .is_ok_and(|body| body.step == self.body.step)
    }
}

/// How the engine rebuilds a participation.
pub(crate) const TYPE: AggregateType =
    AggregateType { name: super::PARTICIPATION, snapshot_version: 1, rebuild, save };

fn rebuild(snapshot: Option<&[u8]>, events: &[RecordedEvent]) -> Result<AnyState, FoldError> {
    let mut state: Participation = match snapshot {
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|e| FoldError::Snapshot(super::PARTICIPATION, e.to_string()))?,
        None => Participation::default(),
    };
    for event in events {
        state.fold(event.saga, &event.event_type, &event.payload, event.time).map_err(|e| {
            FoldError::Payload {
                stream: event.stream.clone(),
                version: event.version,
                reason: e.to_string(),
            }
        })?;
    }
    Ok(Arc::new(state))
}

fn save(state: &AnyState) -> Option<Vec<u8>> {
    state.downcast_ref::<Participation>().and_then(|state| serde_json::to_vec(state).ok())
}
