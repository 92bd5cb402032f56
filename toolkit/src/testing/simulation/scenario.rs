//! What is simulated.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{actors::Actor, faults::Faults, person::Rule, services::Kind, view::View};
use crate::engine::Config;

type Act = Pin<Box<dyn Future<Output = ()> + Send>>;
type Law = Arc<dyn Fn(&View) -> Result<(), String> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) kinds: Vec<Kind>,
    pub(super) lanes: u32,
    pub(super) sagas: usize,
    pub(super) prepare: Arc<dyn Fn(Actor) -> Act + Send + Sync>,
    pub(super) saga: Arc<dyn Fn(Actor, usize) -> Act + Send + Sync>,
    pub(super) laws: Vec<(String, Law)>,
    pub(super) laws_at_quiet_points: bool,
    pub(super) faults: Faults,
    pub(super) configure: Arc<dyn Fn(&str, &mut Config) + Send + Sync>,
    /// Who rules on dead letters.
    pub(super) rule: Rule,
    /// Topics that are no service's: by the name of their owner, with their lanes.
    pub(super) foreign: Vec<(String, u32)>,
    /// Sagas begin within this time.
    pub(super) spread: Duration,
    /// Faults happen for so long at most.
    pub(super) storm: Duration,
    /// Nothing happens but to calls of ports, and leases are short.
    pub(super) only_calls: bool,
    /// How long after the last fault all must be quiet.
    pub(super) quiet_within: Duration,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("kinds", &self.kinds)
            .field("sagas", &self.sagas)
            .finish_non_exhaustive()
    }
}

impl Scenario {
    /// The same, as a bounded search runs it.
    pub(super) fn bounded(&self) -> Self {
        Self { only_calls: true, spread: Duration::ZERO, ..self.clone() }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            kinds: vec![],
            lanes: 2,
            sagas: 1,
            prepare: Arc::new(|_| Box::pin(async {})),
            saga: Arc::new(|_, _| Box::pin(async {})),
            laws: vec![],
            laws_at_quiet_points: true,
            faults: Faults::default(),
            configure: Arc::new(|_, _| {}),
            rule: Rule::default(),
            foreign: vec![],
            spread: Duration::from_secs(10),
            storm: Duration::from_secs(90),
            only_calls: false,
            quiet_within: Duration::from_secs(3_600),
        }
    }
}
