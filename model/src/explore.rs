//! Exploring.

use std::time::{Duration, Instant};

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::{Action, Model, State};

/// What an exploration has found.
#[derive(Debug)]
pub struct Exploration {
    /// Different states.
    pub states: usize,
    /// Steps, those included that led to known states.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether all states within the bounds were seen.
    pub complete: bool,
    /// Properties that do not hold, each with the shortest way there.
    pub violations: Vec<(&'static str, Vec<(State, Option<Action>)>)>,
    /// States that must be reachable and were not reached.
    pub unreached: Vec<&'static str>,
}

/// Walks through all states, breadth first, at most about `states_max` if given.
#[must_use]
pub fn explore(model: Model, threads: usize, states_max: Option<usize>) -> Exploration {
    let started = Instant::now();
    let mut builder = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(max) = states_max {
        builder = builder.target_state_count(max);
    }
    let checker = builder.spawn_bfs().join();
    let discoveries = checker.discoveries();
    let mut violations = vec![];
    let mut unreached = vec![];
    for property in model.properties() {
        let found = discoveries.get(property.name);
        match (property.expectation, found) {
            (stateright::Expectation::Sometimes, None) => unreached.push(property.name),
            (stateright::Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => violations.push((property.name, path.clone().into_vec())),
        }
    }
    Exploration {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took: started.elapsed(),
        complete: violations.is_empty() && states_max.is_none_or(|max| checker.state_count() < max),
        violations,
        unreached,
    }
}
