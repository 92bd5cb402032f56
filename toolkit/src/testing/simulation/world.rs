//! One run, from the first instance's start until all is quiet, or something is wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;

use super::{
    actors::{Actor, Crowd},
    chance::Dice,
    core::{Core, Mode, START, Seat, ServiceCore},
    executor::{Executor, WORLD},
    invariants::{self, Fall},
    node::Node,
    person,
    report::{Broken, Run},
    scenario::Scenario,
    upheaval,
    view::View,
};
use crate::{
    engine::{Config, StartError},
    log::{EventLog as _, TopicSpec},
    runtime::{Clock, Timestamp},
    store::{StoreError, memory::MemoryStore},
};

/// How often it is looked whether all is quiet.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest record of a foreign producer, in bytes.
const FOREIGN_BYTES_MAX: usize = 1 << 20;
/// How long an instance waits before it tries to start again.
const START_AGAIN: Duration = Duration::from_millis(500);

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    crowd: Arc<Crowd>,
    core: Arc<Core>,
    sagas: Vec<usize>,
    /// Actors of the story that have not come to their end.
    acting: Arc<AtomicUsize>,
    lives: u64,
    quiet_points: u64,
    /// How many appends there were at the last quiet point.
    looked_at: Option<u64>,
}

/// How a phase of a run ended.
enum End {
    Done,
    OutOfTime,
    Broken,
    Halted,
}

/// One run of a seed, with these sagas.
pub(super) fn run(scenario: &Scenario, seed: u64, sagas: &[usize], mode: &Mode) -> Run {
    let core = Core::new(seed, mode, |exec| services(scenario, exec));
    for (owner, lanes) in &scenario.foreign {
        let name = Config::new(NAMESPACE).topic_of(owner).into();
        let spec = TopicSpec { name, lanes: *lanes, record_bytes_max: FOREIGN_BYTES_MAX };
        let made = core.log.ensure_topic(&spec).now_or_never();
        debug_assert!(made.is_some_and(|made| made.is_ok()), "a log in memory makes topics");
    }
    let crowd = Crowd::new(core.clone(), scenario.kinds.clone().into());
    let mut world = World {
        scenario,
        core: core.clone(),
        crowd,
        sagas: sagas.to_vec(),
        acting: Arc::default(),
        lives: 0,
        quiet_points: 0,
        looked_at: None,
    };
    let halted = world.play();
    let (faults, taken, occasions) = {
        let mut plan = core.plan();
        (plan.counts.clone(), std::mem::take(&mut plan.taken), plan.occasions.take())
    };
    let occasions = occasions.unwrap_or_default();
    let timeline = core.trace().timeline();
    let run = Run {
        seed,
        hash: core.hash(),
        time: core.exec.now().since(START),
        faults,
        delivered: core.witness().delivered,
        quiet_points: world.quiet_points,
        broken: core.broken(),
        halted,
        timeline,
        sagas: sagas.to_vec(),
        taken,
        calm: mode.calm,
        brief: mode.brief,
        repeated: occasions.repeated,
        occasions: occasions.list,
    };
    world.end();
    run
}

fn services(scenario: &Scenario, exec: &Executor) -> Vec<ServiceCore> {
    let clock: Arc<dyn Clock> = Arc::new(super::core::SimClock::new(exec.clone()));
    let config = Config::new(NAMESPACE);
    let of = |kind: &super::services::Kind| ServiceCore {
        name: kind.name,
        topic: config.topic_of(kind.name).into(),
        group: format!("{NAMESPACE}.{}", kind.name).into(),
        lanes: scenario.lanes,
        store: MemoryStore::new(clock.clone()),
    };
    scenario.kinds.iter().map(of).collect()
}

/// The namespace of all topics.
pub(super) const NAMESPACE: &str = "sim";

impl World<'_> {
    /// Whether a store had fallen back, and its service rightly stands still.
    fn play(&mut self) -> bool {
        for (service, kind) in self.scenario.kinds.iter().enumerate() {
            (0..kind.instances).for_each(|number| self.boot((service, number)));
        }
        self.tell_story();
        person::begin(&self.crowd, &self.scenario.rule, &self.sagas);
        if !self.scenario.only_calls {
            upheaval::begin(&self.crowd);
        }
        let storm = START.plus(self.scenario.storm);
        let mut end = self.run_until(storm, |world, quiet| quiet && !world.is_acting());
        if matches!(end, End::Done | End::OutOfTime) {
            let calm_from = self.heal();
            let bound = calm_from.plus(self.scenario.quiet_within);
            end = self.run_until(bound, move |world, quiet| {
                quiet
                    && !world.is_acting()
                    && world.core.exec.now() >= calm_from.plus(world.core.times.settle)
                    && invariants::complaints(&world.crowd).is_empty()
            });
        }
        match end {
            End::OutOfTime => self.never_quiet(),
            End::Done => self.look(true),
            End::Halted | End::Broken => {}
        }
        if let Some(broken) = invariants::published_over(&self.crowd) {
            self.core.fail(broken);
        }
        matches!(end, End::Halted)
    }

    fn is_acting(&self) -> bool {
        self.acting.load(Ordering::Relaxed) > 0
    }

    /// Nothing goes wrong any more: what stands still goes on, clocks are right.
    fn heal(&self) -> Timestamp {
        self.core.plan().stop();
        self.core.exec.resume_all();
        self.crowd.nodes().values().for_each(|node| node.clock().set_right());
        self.core.tell("world", || "no more faults from here on".to_owned());
        self.core.exec.now()
    }

    fn boot(&mut self, seat: Seat) {
        self.lives += 1;
        let node = Node::new(&self.core, seat, self.lives);
        let config = self.config(seat.0);
        self.crowd.nodes().insert(seat, node.clone());
        self.core.tell(node.place(), || "starts".to_owned());
        let (crowd, kind) = (self.crowd.clone(), self.scenario.kinds[seat.0].clone());
        let core = self.core.clone();
        core.exec.clone().spawn(
            node.group(),
            Box::pin(async move {
                loop {
                    match kind.start(node.clone(), config.clone()).await {
                        Ok(instance) => return crowd.arrived(&node, instance),
                        Err(StartError::Store(StoreError::Unavailable(_)) | StartError::Log(_)) => {
                            core.exec.sleep(START_AGAIN).await;
                        }
                        Err(error) => {
                            let told = format!("{}: {error}", node.place());
                            return core.fail(Broken::invariant("every instance can start", told));
                        }
                    }
                }
            }),
        );
    }

    /// Sizes differ from seed to seed: small ones meet their edges.
    fn config(&self, service: usize) -> Config {
        let mut config = Config::new(NAMESPACE);
        config.lanes = self.scenario.lanes;
        let limits = &mut config.limits;
        limits.relay_poll_every = Duration::from_millis(200);
        if self.scenario.only_calls {
            limits.lease_ttl = Duration::from_millis(900);
            limits.backoff_last = Duration::from_millis(200);
        } else if !self.core.calm {
            let mut dice = Dice::of(self.core.seed, "sizes", service as u64);
            let mut one_of = |sizes: &[usize]| sizes[dice.index(sizes.len())];
            limits.batch_works_max = one_of(&[1, 2, 5, 64, 512]);
            limits.aggregates_cached_max = one_of(&[1, 3, 1_000]);
            limits.relay_records_max = one_of(&[1, 2, 10, 1_000]);
            limits.relay_fresh_max = one_of(&[1, 64]);
            limits.snapshot_every_events = u32::try_from(one_of(&[1, 3, 200])).unwrap_or(200);
            limits.floor_every_events = one_of(&[1, 4, 10_000]) as u64;
        }
        (self.scenario.configure)(self.scenario.kinds[service].name, &mut config);
        config
    }

    fn tell_story(&self) {
        let actor = |name: &str| Actor::new(self.crowd.clone(), name);
        let prepare = (self.scenario.prepare)(actor("prepare"));
        let sagas: Vec<_> = self.sagas.iter().map(|n| (*n, actor(&format!("saga {n}")))).collect();
        let (story, exec) = (self.scenario.saga.clone(), self.core.exec.clone());
        let (acting, spread) = (self.acting.clone(), self.scenario.spread);
        acting.fetch_add(1, Ordering::Relaxed);
        self.core.exec.spawn(
            WORLD,
            Box::pin(async move {
                prepare.await;
                for (n, actor) in sagas {
                    acting.fetch_add(1, Ordering::Relaxed);
                    let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
                    let wait = Duration::from_millis(actor.dice("start").below(millis));
                    let (saga, acting) = (story(actor.clone(), n), acting.clone());
                    exec.spawn(
                        WORLD,
                        Box::pin(async move {
                            actor.sleep(wait).await;
                            saga.await;
                            acting.fetch_sub(1, Ordering::Relaxed);
                        }),
                    );
                }
                acting.fetch_sub(1, Ordering::Relaxed);
            }),
        );
    }

    /// Runs until the condition holds at one of the moments at which it is asked; it is told whether all is
    /// quiet.
    fn run_until(&mut self, limit: Timestamp, done: impl Fn(&Self, bool) -> bool) -> End {
        let mut look_at = self.core.exec.now();
        loop {
            let goes_on = self.core.exec.step(limit);
            self.bury_and_boot();
            if self.core.broken().is_some() {
                return End::Broken;
            }
            if !goes_on {
                return End::OutOfTime;
            }
            if self.core.exec.now() < look_at {
                continue;
            }
            look_at = self.core.exec.now().plus(LOOK_EVERY);
            match self.fall() {
                Fall::None => {}
                Fall::Unnoticed => continue,
                Fall::Halted => return End::Halted,
                Fall::Unfounded => return End::Broken,
            }
            let quiet = self.unrest().is_none();
            if quiet {
                self.look(false);
            }
            if done(self, quiet) {
                return End::Done;
            }
        }
    }

    /// Why it is not quiet.
    fn unrest(&self) -> Option<String> {
        invariants::unrest(&self.crowd).or_else(|| {
            let view = self.view();
            let waits = |s| person::awaits_ruling(&self.crowd, s, &self.scenario.rule, &view);
            (0..self.scenario.kinds.len()).find_map(waits)
        })
    }

    fn view(&self) -> View {
        View::new(self.core.clone(), self.crowd.kinds.clone(), self.sagas.clone())
    }

    fn bury_and_boot(&mut self) {
        for (service, number) in self.core.take_deaths() {
            let dead = self.crowd.instances()[service][number].take();
            drop(dead);
        }
        for seat in self.core.take_boots() {
            self.boot(seat);
        }
    }

    fn fall(&self) -> Fall {
        let fall = invariants::fall(&self.crowd);
        if fall == Fall::Unfounded {
            let told = invariants::complaints(&self.crowd).join("; ");
            self.core.fail(Broken::invariant("nobody halts without a reason", told));
        }
        fall
    }

    /// A quiet point: all that must hold is looked at, if something has happened since the last one.
    fn look(&mut self, last: bool) {
        let appends = (0..self.scenario.kinds.len()).map(|s| self.core.witness().appends(s)).sum();
        if self.looked_at == Some(appends) && !last {
            return;
        }
        self.looked_at = Some(appends);
        self.quiet_points += 1;
        if last && let Some(broken) = invariants::wrong(&self.crowd) {
            return self.core.fail(broken);
        }
        // Nobody will rule on it: that says more than a law that it breaks.
        if let Some(broken) = self.core.services.iter().find_map(invariants::dead) {
            return self.core.fail(broken);
        }
        // Answers that were given may rest on what a store has lost since.
        if self.core.witness().lost_something() || !(last || self.scenario.laws_at_quiet_points) {
            return;
        }
        let view = self.view();
        for (name, law) in &self.scenario.laws {
            if let Err(told) = law(&view) {
                return self.core.fail(Broken::law(name, told));
            }
        }
    }

    fn never_quiet(&self) {
        let mut told = self.unrest().into_iter().collect::<Vec<_>>();
        let acting = self.acting.load(Ordering::Relaxed);
        if acting > 0 {
            told.push(format!("{acting} actors of the story have not come to their end"));
        }
        told.extend(invariants::complaints(&self.crowd));
        let name =
            format!("all is quiet within {:?} of the last fault", self.scenario.quiet_within);
        self.core.fail(Broken::invariant(&name, told.join("; ")));
    }

    /// Takes apart what holds on to each other.
    fn end(&self) {
        self.crowd.nodes().values().for_each(Node::silence);
        self.crowd.nodes().clear();
        self.crowd.instances().iter_mut().flatten().for_each(|instance| *instance = None);
        self.core.exec.clear();
        let buried = std::mem::take(&mut *self.core.graveyard());
        drop(buried);
    }
}
