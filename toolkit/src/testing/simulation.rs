//! A choreography in one thread, on virtual time, from one seed: the real engine, the real handlers,
//! several services of several instances each, on ports that fail.
//!
//! ```
//! # use quadrille::prelude::*;
//! # use quadrille::testing::{Simulation, simulation::Faults};
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Default, Serialize, Deserialize)]
//! # struct Basket { open: bool }
//! # impl Aggregate for Basket { const NAME: &'static str = "basket"; type Id = str; type Events = (Opened,); }
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
//! # #[event(type = "OPENED", key = basket, source = "shop")]
//! # struct Opened { basket: String }
//! # impl Apply<Opened> for Basket { fn apply(&mut self, _: &Opened) { self.open = true; } }
//! # #[derive(Clone)]
//! # struct Open { basket: String }
//! # impl Command for Open {
//! #     type Aggregate = Basket; type Emits = (Opened,); type Refusal = NoRefusal;
//! #     fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
//! #         if !facts.open { facts.record(Opened { basket: self.basket }); }
//! #         Ok(())
//! #     }
//! # }
//! # struct Shop;
//! # impl Service for Shop { const NAME: &'static str = "shop"; type Commands = (Open,); type Handles = (); type Steps = (); }
//! Simulation::new()
//!     .service(2, || Shop)
//!     .sagas(3)
//!     .saga(|customer, n| async move {
//!         let basket = format!("basket-{n}");
//!         let opened = customer.at::<Shop>().execute(&*basket, Open { basket: basket.clone() }).await;
//!         assert!(opened.is_ok());
//!     })
//!     // Before all have come, some are not.
//!     .laws_at_the_end_only()
//!     .law("every basket is open", |end| {
//!         let closed = end.sagas().iter().find(|n| {
//!             end.load::<Shop, Basket>(&format!("basket-{n}")).is_none_or(|basket| !basket.open)
//!         });
//!         closed.map_or(Ok(()), |n| Err(format!("that of saga {n} is not")))
//!     })
//!     .check(0..3)
//!     .unwrap();
//! ```

mod actors;
mod chance;
mod core;
mod executor;
mod explore;
mod faults;
mod foreign;
mod invariants;
mod log;
mod mishaps;
mod node;
mod order;
mod outside;
mod person;
mod plan;
mod publisher;
mod report;
mod scenario;
mod services;
mod shrink;
mod store;
mod subscription;
mod token;
mod trace;
mod tries;
mod upheaval;
mod view;
mod witness;
mod world;

use std::{future::Future, ops::Range, sync::Arc, time::Duration};

pub use actors::{Actor, Desk};
pub use chance::Dice;
use core::Mode;
pub use explore::Explored;
pub use faults::{Fault, FaultCounts, FaultKind, Faults};
pub use foreign::Foreign;
pub use outside::{Outside, Place};
use plan::Source;
pub use report::{Broken, Counterexample, Run};
use scenario::Scenario;
use services::Kind;
use token::{Part, Token};
use trace::Detail;
pub use view::View;

use crate::{
    effect::Performers, engine::Config, operator::LetterView, service::Service, store::Action,
};

/// A choreography that is to be simulated: services, a story, laws, faults.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    scenario: Scenario,
    command: Option<String>,
}

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// The hash of all their hashes, in order.
    pub hash: u64,
    /// How much virtual time went by.
    pub time: Duration,
    /// What was injected.
    pub faults: FaultCounts,
    /// Records that consumers got.
    pub delivered: u64,
    /// Moments at which all was quiet and the laws were looked at.
    pub quiet_points: u64,
    /// Runs in which a store had lost what was published, and its service stood still, as it must (P8).
    pub halted: u64,
}

impl Summary {
    /// Takes a run in.
    pub fn add(&mut self, run: &Run) {
        let mut hash = chance::StableHash::new();
        hash.number(self.hash);
        hash.number(run.hash);
        self.hash = hash.value();
        self.seeds += 1;
        self.time += run.time;
        self.faults.merge(&run.faults);
        self.delivered += run.delivered;
        self.quiet_points += run.quiet_points;
        self.halted += u64::from(run.halted);
    }
}

impl Simulation {
    /// A simulation of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service with so many instances; `make` makes the service of each life of an instance.
    #[must_use]
    pub fn service<S, F>(mut self, instances: usize, make: F) -> Self
    where
        S: Service,
        F: Fn() -> S + Send + Sync + 'static,
    {
        self.scenario.kinds.push(Kind::of(instances, move |_: &Outside| make()));
        self
    }

    /// As [`service`](Self::service), for one that depends on the world outside: on its chance, say.
    #[must_use]
    pub fn service_in<S, F>(mut self, instances: usize, make: F) -> Self
    where
        S: Service,
        F: Fn(&Outside) -> S + Send + Sync + 'static,
    {
        self.scenario.kinds.push(Kind::of(instances, make));
        self
    }

    /// Who performs the effects of a service, instead of its own performers: they call a
    /// [`Place`] outside, which answers late, twice or not at all as the faults will have it.
    ///
    /// # Panics
    /// When the simulation has no such service.
    #[must_use]
    pub fn performers<S: Service>(
        mut self,
        make: impl Fn(&Outside) -> Performers + Send + Sync + 'static,
    ) -> Self {
        let of = |kind: &&mut Kind| kind.type_id == std::any::TypeId::of::<S>();
        let kind = self.scenario.kinds.iter_mut().find(of);
        let kind = kind.unwrap_or_else(|| panic!("{} is not simulated", S::NAME));
        kind.performers = Some(Arc::new(make));
        self
    }

    /// Adds a topic of producers that are not ours, with so many lanes: [`Actor::send`] fills it. `owner` is
    /// the `source` of the events' declarations.
    #[must_use]
    pub fn foreign(mut self, owner: &str, lanes: u32) -> Self {
        self.scenario.foreign.push((owner.to_owned(), lanes));
        self
    }

    /// What a person does about a dead letter; `None` leaves it, and it breaks the run in the end. Unless
    /// it is said, what a fault has killed is replayed and all else is left.
    #[must_use]
    pub fn person<F>(mut self, rule: F) -> Self
    where
        F: Fn(&LetterView, &View) -> Option<Action> + Send + Sync + 'static,
    {
        self.scenario.rule = person::Rule(Arc::new(rule));
        self
    }

    /// How many lanes each service's topic has; 2 unless it is said.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.scenario.lanes = lanes;
        self
    }

    /// How many sagas the story has; 1 unless it is said.
    #[must_use]
    pub fn sagas(mut self, sagas: usize) -> Self {
        self.scenario.sagas = sagas;
        self
    }

    /// What is done before the first saga begins: accounts are filled, and the like.
    #[must_use]
    pub fn prepare<F, Fut>(mut self, prepare: F) -> Self
    where
        F: Fn(Actor) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.scenario.prepare = Arc::new(move |actor| Box::pin(prepare(actor)));
        self
    }

    /// The story of one saga, given its number from 0. Sagas run side by side, and rest on nothing but
    /// what was prepared: a failure is searched for with fewer of them.
    #[must_use]
    pub fn saga<F, Fut>(mut self, saga: F) -> Self
    where
        F: Fn(Actor, usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.scenario.saga = Arc::new(move |actor, n| Box::pin(saga(actor, n)));
        self
    }

    /// A law that must hold whenever all is quiet: nothing is unread, unpublished, parked or unanswered.
    /// The error says what breaks it.
    #[must_use]
    pub fn law<F>(mut self, name: &str, law: F) -> Self
    where
        F: Fn(&View) -> Result<(), String> + Send + Sync + 'static,
    {
        self.scenario.laws.push((name.to_owned(), Arc::new(law)));
        self
    }

    /// Looks at the laws at the end only, and not at every quiet point.
    #[must_use]
    pub fn laws_at_the_end_only(mut self) -> Self {
        self.scenario.laws_at_quiet_points = false;
        self
    }

    /// What goes wrong, and how often; [`Faults::default`] unless it is said.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.scenario.faults = faults;
        self
    }

    /// Changes the engines' configuration; given the service's name.
    #[must_use]
    pub fn configure<F>(mut self, configure: F) -> Self
    where
        F: Fn(&str, &mut Config) + Send + Sync + 'static,
    {
        self.scenario.configure = Arc::new(configure);
        self
    }

    /// Sagas begin at random within this virtual time; 10 s unless it is said.
    #[must_use]
    pub fn spread(mut self, spread: Duration) -> Self {
        self.scenario.spread = spread;
        self
    }

    /// Faults happen for at most so much virtual time; 90 s unless it is said.
    #[must_use]
    pub fn storm(mut self, storm: Duration) -> Self {
        self.scenario.storm = storm;
        self
    }

    /// How much virtual time after the last fault all must be quiet; an hour unless it is said.
    #[must_use]
    pub fn quiet_within(mut self, quiet_within: Duration) -> Self {
        self.scenario.quiet_within = quiet_within;
        self
    }

    /// The command that replays a run, for printing; `{}` stands for the run.
    #[must_use]
    pub fn replayed_by(mut self, command: &str) -> Self {
        self.command = Some(command.to_owned());
        self
    }

    /// Runs one seed.
    #[must_use]
    pub fn run(&self, seed: u64) -> Run {
        world::run(&self.scenario, seed, &self.all_sagas(), &self.mode(Detail::Nothing))
    }

    /// Runs seeds until one breaks something; that run is then shortened.
    ///
    /// # Errors
    /// The counterexample, which can be printed.
    pub fn check(&self, seeds: Range<u64>) -> Result<Summary, Box<Counterexample>> {
        let mut summary = Summary::default();
        for seed in seeds {
            let run = self.run(seed);
            if run.broken.is_some() {
                return Err(Box::new(self.shorten(&run)));
            }
            summary.add(&run);
        }
        Ok(summary)
    }

    /// Runs once more what a seed or a [`Counterexample::token`] names, and tells its timeline; with
    /// `calls`, every call of a port too.
    ///
    /// # Errors
    /// The text names no run.
    pub fn replay(&self, token: &str, calls: bool) -> Result<Run, String> {
        let Token { seed, part } = token.parse()?;
        let detail = if calls { Detail::Calls } else { Detail::Story };
        let Some(part) = part else {
            return Ok(world::run(&self.scenario, seed, &self.all_sagas(), &self.mode(detail)));
        };
        let source = Source::Given(part.faults);
        let Part { calm, brief, .. } = part;
        let mode = Mode { source, calm, detail, brief, occasions: false };
        let scenario = if brief { self.scenario.bounded() } else { self.scenario.clone() };
        Ok(world::run(&scenario, seed, &part.sagas, &mode))
    }

    /// Shortens a run that broke something: fewer sagas, fewer faults.
    #[must_use]
    pub fn shorten(&self, run: &Run) -> Counterexample {
        let mut found = shrink::shrink(&self.scenario, run);
        found.command = self.command_for(&found.token);
        found
    }

    /// Explores one small story to the end: the run without a fault, and every run with up to
    /// `faults_max` faults in calls of ports, on all processors. At most `runs_max` runs; what is left out
    /// then shows in [`Explored::complete`]. Tasks run in one fixed order, and messages take one fixed
    /// time: what is explored is every place of every fault, not every order.
    ///
    /// `progress` is told how many runs are done, and how many are known of.
    ///
    /// # Errors
    /// The first counterexample: one with the fewest faults.
    pub fn explore(
        &self,
        faults_max: usize,
        runs_max: u64,
        progress: impl Fn(u64, u64) + Sync,
    ) -> Result<Explored, Box<Counterexample>> {
        let explored = explore::explore(&self.scenario, faults_max, runs_max, &progress);
        explored.map_err(|mut found| {
            found.command = self.command_for(&found.token);
            found
        })
    }

    fn command_for(&self, token: &str) -> String {
        let quoted = format!("'{token}'");
        match &self.command {
            Some(command) => command.replace("{}", &quoted),
            None => format!("Simulation::replay({token:?}, false)"),
        }
    }

    fn all_sagas(&self) -> Vec<usize> {
        (0..self.scenario.sagas).collect()
    }

    fn mode(&self, detail: Detail) -> Mode {
        let source = Source::Draw(self.scenario.faults.clone());
        Mode { source, calm: false, detail, brief: false, occasions: false }
    }
}
