//! What must hold in every state.

use stateright::Property;

use crate::{Action, Model, State, actions, plan::Contradiction, relay::Phase, steps, store::bit};

/// Each lane of the log is a prefix of the store's: every number once, in order, the same event. After a
/// store has lost events, the log may end with them; nothing is ever published over them.
pub const EXACT: &str = "the log is an exact replica";
/// Nobody halts but for what the store has lost, or what retention removed before a floor counted it.
pub const CAUSE: &str = "a halt has a cause";
/// When nothing is left to happen by itself, all is published, or somebody has halted.
pub const QUIET: &str = "nothing is lost once all is quiet";
/// The bounds are wide enough to reach the end.
pub const LEVEL: &str = "all events are appended and published";

/// The properties that are checked.
pub(crate) fn all() -> Vec<Property<Model>> {
    vec![
        Property::always(EXACT, |_, state| is_exact(state)),
        Property::always(CAUSE, |_, state| every_halt_has_a_cause(state)),
        Property::always(QUIET, is_quiet_and_whole),
        Property::sometimes(LEVEL, |_, state: &State| state.left.events == 0 && is_level(state)),
    ]
}

/// [`EXACT`].
#[must_use]
pub fn is_exact(state: &State) -> bool {
    (0..state.log.partitions.len()).all(|lane| is_lane_exact(state, lane))
}

fn is_lane_exact(state: &State, lane: usize) -> bool {
    let partition = &state.log.partitions[lane];
    let mut seq = partition.trimmed;
    let mut after_lost = false;
    for record in partition.visible() {
        seq += 1;
        let lost = state.lost & bit(record.id) != 0;
        let same = state.store.event(lane, record.seq) == Some(record.id);
        if record.seq != seq || !(lost || same) || (after_lost && !lost) {
            return false;
        }
        after_lost |= lost;
    }
    true
}

fn every_halt_has_a_cause(state: &State) -> bool {
    state.relays.iter().all(|relay| match relay.phase {
        Phase::Halted(Contradiction::LogAhead | Contradiction::OtherEvent) => state.lost != 0,
        Phase::Halted(Contradiction::NoFloor) => state.blind,
        _ => true,
    })
}

fn is_level(state: &State) -> bool {
    (0..state.log.partitions.len()).all(|lane| steps::is_level(state, lane))
}

fn is_quiet_and_whole(model: &Model, state: &State) -> bool {
    is_level(state)
        || state.relays.iter().any(|relay| matches!(relay.phase, Phase::Halted(_)))
        || is_anything_due(model, state)
}

fn is_anything_due(model: &Model, state: &State) -> bool {
    actions::all().filter(|action| Action::is_due(*action)).any(|a| model.after(state, a).is_some())
}
