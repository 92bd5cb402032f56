//! The barrier: keeps a step's action and its compensation apart, whatever order they arrive in.
//!
//! TCC calls the three cases idempotency, empty rollback and suspension. A step is identified by
//! (saga, step, key), where the key is that of the message which asks for it. Its state is folded
//! from the service's own stream for that key, the [`Participation`]:
//!
//! | arrives | already there | result |
//! |---|---|---|
//! | action | nothing | it runs |
//! | action | action (done, refused or under way) | no-op |
//! | action | tombstone | refused and recorded; no business failure is emitted for it |
//! | compensation | action done | compensated, once |
//! | compensation | action refused | no-op: there is nothing to undo |
//! | compensation | action under way | noted; undone at the outcome |
//! | compensation | nothing | a tombstone, nothing undone |
//! | compensation | compensation or tombstone | no-op |
//! | cancellation | pivot done | [`TooLate`](Forestall::TooLate): the pivot's owner refuses |

mod participation;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(crate) use participation::EFFECT_TRIED;
use participation::Marker;
pub use participation::{Participation, Stated, StepState};

use crate::{
    engine::RetryPolicy,
    error::HandlerError,
    handler::{Behind, Cause, Compensation, Reaction, Role, Run, Stimulus},
    id::{InvalidId, StreamId},
    mutant::{Mutant, broken},
    service::{HandlerSet, Service, StepDescription, StepKind},
    turn::{Forestall, Loaded, TurnCell, TurnState},
};

/// The category of the streams that the toolkit owns: one a key, with the public events that handlers
/// recorded under it, and the states of the steps.
pub const PARTICIPATION: &str = "participation";

/// What a service does about each event type, and how it undoes each step.
#[derive(Debug)]
pub(crate) struct Dispatch<S: Service> {
    reactions: BTreeMap<&'static str, Vec<Reaction<S>>>,
    consumed: BTreeSet<&'static str>,
    /// Whether a handler lets later events pass a dead one.
    pub(crate) sets_aside: bool,
    pub(crate) steps: Arc<[StepDescription]>,
}

impl<S: Service> Dispatch<S> {
    pub(crate) fn new() -> Self {
        let set = HandlerSet::<S>::gather();
        let passes = |reaction: &Reaction<S>| {
            matches!(reaction, Reaction::Handle { behind: Behind::Pass, .. })
        };
        let sets_aside = set.reactions.values().flatten().any(passes);
        Self {
            reactions: set.reactions,
            consumed: set.consumed,
            sets_aside,
            steps: set.steps.into(),
        }
    }

    /// Whether the service consumes events of this type (P12: others are skipped, not dead).
    pub(crate) fn consumes(&self, event_type: &str) -> bool {
        self.consumed.contains(event_type)
    }

    /// The types that it consumes, sorted.
    pub(crate) fn consumed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.consumed.iter().copied()
    }

    /// What the handler of an event type wants done after a failure: its retries, and what becomes of the
    /// later events behind a dead one.
    pub(crate) fn after_failure(
        &self,
        service: &S,
        event_type: &str,
    ) -> (Option<RetryPolicy>, Behind) {
        let reactions = self.reactions.get(event_type).map_or(&[][..], Vec::as_slice);
        let wishes = reactions.iter().find_map(|reaction| match reaction {
            Reaction::Handle { retry, behind, .. } => Some((retry(service), *behind)),
            Reaction::Undo(_) => None,
        });
        wishes.unwrap_or((None, Behind::Wait))
    }

    fn compensation(&self, step: &str) -> Option<Compensation<S>> {
        self.reactions.values().flatten().find_map(|reaction| match reaction {
            Reaction::Undo(compensation) if compensation.step == step => Some(*compensation),
            _ => None,
        })
    }
}

/// Everything that a service does about one message, in one turn: its handler, then its compensations.
pub(crate) async fn react<S: Service>(
    service: Arc<S>,
    dispatch: Arc<Dispatch<S>>,
    stimulus: Stimulus,
    cell: TurnCell,
) -> Result<(), HandlerError> {
    let reactions =
        dispatch.reactions.get(&*stimulus.origin.event_type).map_or(&[][..], Vec::as_slice);
    for reaction in reactions {
        match reaction {
            Reaction::Handle { role, performs, run, .. } => {
                let run = || run(service.clone(), &stimulus, cell.clone()).map_err(undecodable);
                match (role, performs.as_slice()) {
                    (_, []) => run()?.await?,
                    (Role::Action, steps) => act(&cell, steps, run).await?,
                    (Role::Outcome, steps) => {
                        run()?.await?;
                        conclude(&service, &dispatch, &stimulus, &cell, steps).await?;
                    }
                }
            }
            Reaction::Undo(compensation) => {
                compensate(&service, *compensation, &stimulus, &cell).await?
            }
        }
    }
    Ok(())
}

fn undecodable(error: serde_json::Error) -> HandlerError {
    HandlerError::terminal(Undecodable(error))
}

/// The payload does not fit the event type that its header names.
#[derive(Debug, thiserror::Error)]
#[error("the payload does not fit its event type")]
pub(crate) struct Undecodable(#[source] serde_json::Error);

/// An action: rows one to three of the table.
async fn act(
    cell: &TurnCell,
    steps: &[StepDescription],
    run: impl FnOnce() -> Result<Run, HandlerError>,
) -> Result<(), HandlerError> {
    let participation = load(cell).await?;
    let saga = cell.lock().context.saga;
    let states: Vec<StepState> =
        steps.iter().map(|s| seen(participation.step(saga, s.event_type))).collect();
    if let Some(i) = states.iter().position(|s| *s == StepState::Tombstone) {
        mark(&mut cell.lock(), &Marker::suspended(steps[i].event_type));
        return Ok(());
    }
    if states.iter().any(|s| *s != StepState::Nothing) {
        return Ok(());
    }
    run()?.await?;
    settle(&mut cell.lock(), steps);
    Ok(())
}

/// A step's state as an action meets it: as it is, but under a mutant.
fn seen(state: StepState) -> StepState {
    match state {
        StepState::Tombstone if broken(Mutant::LateActionRuns) => StepState::Nothing,
        StepState::Done if broken(Mutant::ActionTwice) => StepState::Nothing,
        state => state,
    }
}

/// After an action: a step that was neither recorded nor begun has been refused.
fn settle(turn: &mut TurnState, steps: &[StepDescription]) {
    for step in steps {
        if !note_done(turn, step.event_type) && !marked(turn, &Marker::started(step.event_type)) {
            mark(turn, &Marker::refused(step.event_type));
        }
    }
}

/// The outcome of a step that was under way. When its compensation came meanwhile, it is undone now.
async fn conclude<S: Service>(
    service: &Arc<S>,
    dispatch: &Dispatch<S>,
    stimulus: &Stimulus,
    cell: &TurnCell,
    steps: &[StepDescription],
) -> Result<(), HandlerError> {
    let participation = load(cell).await?;
    let saga = cell.lock().context.saga;
    for step in steps {
        let done = note_done(&mut cell.lock(), step.event_type);
        let state = participation.step(saga, step.event_type);
        let unwanted =
            matches!(state, StepState::UnderWay { undo_asked: true } | StepState::Tombstone)
                && !broken(Mutant::NotUndoneAtOutcome);
        if !done {
            mark(&mut cell.lock(), &Marker::refused(step.event_type));
        } else if unwanted && let Some(compensation) = dispatch.compensation(step.event_type) {
            let payload = drafted(&cell.lock(), step.event_type).unwrap_or_default();
            undo(service, compensation, &payload, stimulus, cell).await?;
        }
    }
    Ok(())
}

/// A compensation: rows four to eight of the table.
async fn compensate<S: Service>(
    service: &Arc<S>,
    compensation: Compensation<S>,
    stimulus: &Stimulus,
    cell: &TurnCell,
) -> Result<(), HandlerError> {
    let participation = load(cell).await?;
    let saga = cell.lock().context.saga;
    match participation.step(saga, compensation.step) {
        StepState::Nothing if broken(Mutant::TombstoneForgotten) => {}
        StepState::Nothing if broken(Mutant::UndoWithoutAction) => {
            undo(service, compensation, &stimulus.payload, stimulus, cell).await?;
        }
        StepState::Nothing => mark(&mut cell.lock(), &Marker::forestalled(compensation.step)),
        StepState::UnderWay { undo_asked: false } if broken(Mutant::UndoAskedForgotten) => {}
        StepState::UnderWay { undo_asked: false } => {
            mark(&mut cell.lock(), &Marker::undo_asked(compensation.step))
        }
        StepState::Done => {
            let payload =
                participation.payload(saga, compensation.step).unwrap_or_default().to_vec();
            undo(service, compensation, &payload, stimulus, cell).await?;
        }
        StepState::UnderWay { .. }
        | StepState::Refused
        | StepState::Undone
        | StepState::Tombstone => {}
    }
    Ok(())
}

async fn undo<S: Service>(
    service: &Arc<S>,
    compensation: Compensation<S>,
    done: &[u8],
    stimulus: &Stimulus,
    cell: &TurnCell,
) -> Result<(), HandlerError> {
    let cause = Cause { origin: stimulus.origin.clone(), payload: stimulus.payload.clone() };
    (compensation.run)(service.clone(), done, cause, cell.clone()).map_err(undecodable)?.await?;
    if !broken(Mutant::UndoneForgotten) {
        mark(&mut cell.lock(), &Marker::undone(compensation.step));
    }
    Ok(())
}

/// [`Turn::begin`](crate::Turn::begin).
pub(crate) fn begin(turn: &mut TurnState, step: &'static str) {
    if is_step(turn, step).is_none() {
        turn.fail(not_a_step(step));
    }
    mark(turn, &Marker::started(step));
}

/// [`Turn::forestall`](crate::Turn::forestall).
pub(crate) fn forestall(
    turn: &mut TurnState,
    participation: &Participation,
    step: &'static str,
) -> Result<Forestall, HandlerError> {
    let kind = is_step(turn, step).ok_or_else(|| not_a_step(step))?;
    let tombstone = Marker::forestalled(step);
    if marked(turn, &tombstone) {
        return Ok(Forestall::Already);
    }
    match participation.step(turn.context.saga, step) {
        StepState::Nothing => {
            mark(turn, &tombstone);
            Ok(Forestall::InTime)
        }
        // Only a compensatable step can be called back once it is under way.
        StepState::UnderWay { undo_asked: false } if kind == StepKind::Compensatable => {
            mark(turn, &Marker::undo_asked(step));
            Ok(Forestall::TooLate)
        }
        StepState::Done if broken(Mutant::PivotCalledBack) => Ok(Forestall::InTime),
        StepState::Done | StepState::UnderWay { .. } => Ok(Forestall::TooLate),
        StepState::Refused | StepState::Undone | StepState::Tombstone => Ok(Forestall::Already),
    }
}

fn is_step(turn: &TurnState, step: &str) -> Option<StepKind> {
    turn.context.steps.iter().find(|s| s.event_type == step).map(|s| s.kind)
}

fn not_a_step(step: &str) -> HandlerError {
    HandlerError::bug(format!(
        "{step} is not a step of this service: list it in the service's `Steps`"
    ))
}

/// The participation under the message's key.
pub(crate) async fn load(cell: &TurnCell) -> Result<Arc<Participation>, HandlerError> {
    let stream = stream(&cell.lock().context.key);
    let (stream, state) = Loaded { cell, stream, kind: participation::TYPE }.await?;
    state.downcast().map_err(|_| HandlerError::bug(format!("{stream} is not a participation")))
}

/// The stream of a key's participation.
pub(crate) fn stream(key: &str) -> Result<StreamId, InvalidId> {
    StreamId::new(PARTICIPATION, &key)
}

/// Whether a stream is one of the toolkit's own; and its type.
pub(crate) fn participation_type() -> crate::aggregate::AggregateType {
    participation::TYPE
}

/// Whether this turn recorded the step's event. One that went to another stream leaves a copy here.
fn note_done(turn: &mut TurnState, step: &'static str) -> bool {
    let own = stream(&turn.context.key).ok();
    let Some(draft) = turn.drafts.iter().find(|d| d.event_type == step) else { return false };
    if draft.key.as_deref().is_some_and(|key| key != &*turn.context.key) {
        let (asked, found) = (turn.context.key.clone(), draft.key.clone().unwrap_or_default());
        turn.fail(HandlerError::bug(format!(
            "the step {step} was asked for under the key {asked:?} and recorded under {found:?}: a step carries the key of the event that asks for it"
        )));
    } else if own.as_ref() != Some(&draft.stream) {
        let marker = Marker::done(step, &draft.payload);
        mark(turn, &marker);
    }
    true
}

/// The payload of an event that this turn has recorded.
pub(crate) fn drafted(turn: &TurnState, event_type: &str) -> Option<bytes::Bytes> {
    turn.drafts.iter().find(|d| d.event_type == event_type).map(|d| d.payload.clone())
}

fn mark(turn: &mut TurnState, marker: &Marker) {
    match stream(&turn.context.key) {
        Ok(stream) => turn.push(marker.draft(stream)),
        Err(error) => turn.fail(HandlerError::terminal(error)),
    }
}

fn marked(turn: &TurnState, marker: &Marker) -> bool {
    turn.drafts.iter().any(|d| marker.is(d))
}
