//! The state of everything, and what can happen next.

use crate::{
    Action, Bounds, RELAYS, Variant, actions, log::Log, properties, relay::Relay, steps,
    store::Store,
};

/// Epochs of one id, at most: far beyond what the bounds allow to the whole protocol.
const EPOCHS_MAX: u8 = 40;

/// Everything at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The service's store.
    pub store: Store,
    /// Its topic.
    pub log: Log,
    /// Its instances.
    pub relays: [Relay; RELAYS],
    /// What may still happen.
    pub left: Bounds,
    /// Events that the store has lost, as bits: known to nobody in the model.
    pub lost: u16,
    /// Retention has removed records that no floor counts, or a tail was lost where others had been removed:
    /// how far a lane was published is known to nobody any more.
    pub blind: bool,
}

/// The protocol with one set of bounds, whole or with one rule taken away.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// How much may happen.
    pub bounds: Bounds,
    /// The rule that is taken away.
    pub variant: Option<Variant>,
}

impl Model {
    /// Whether a rule is taken away.
    #[must_use]
    pub fn is(&self, variant: Variant) -> bool {
        self.variant == Some(variant)
    }

    /// Offsets are counted where something depends on them only: they would make many states of one.
    #[must_use]
    pub fn counts_offsets(&self) -> bool {
        self.bounds.retentions > 0
    }

    /// The state before anything has happened.
    #[must_use]
    pub fn start(&self) -> State {
        let shards = self.bounds.shards.max(1);
        State {
            store: Store { shards, ..Store::default() },
            log: Log::default(),
            relays: [Relay { map: shards, ..Relay::default() }; RELAYS],
            left: self.bounds,
            lost: 0,
            blind: false,
        }
    }

    /// What follows on an action; nothing where it cannot be taken.
    #[must_use]
    pub fn after(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        steps::take(self, &mut next, action)?;
        next.log.forget_dead_requests();
        Some(next)
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(actions::all().filter(|action| self.after(state, *action).is_some()));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.after(state, action)
    }

    fn next_steps(&self, state: &State) -> Vec<(Action, State)> {
        actions::all().filter_map(|action| Some((action, self.after(state, action)?))).collect()
    }

    /// A broken protocol may start tenures for ever.
    fn within_boundary(&self, state: &State) -> bool {
        state.log.coordinators.iter().all(|coordinator| coordinator.epoch < EPOCHS_MAX)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        properties::all()
    }
}
