//! One life of an instance: its clock, its tasks, its calls of ports, and its death.

use std::{
    fmt,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    chance::Dice,
    core::{Core, Seat, SimClock, SimSpawner},
    executor::GroupId,
    faults::Fault,
    plan::Site,
};
use crate::{
    log::LogError,
    runtime::{Entropy, Runtime},
    store::StoreError,
};

struct Life {
    core: Arc<Core>,
    seat: Seat,
    place: Arc<str>,
    group: GroupId,
    clock: Arc<SimClock>,
    dead: AtomicBool,
    /// Its memberships: groups and numbers.
    members: Mutex<Vec<(Arc<str>, u64)>>,
}

/// A handle of one life.
#[derive(Clone)]
pub(super) struct Node(Arc<Life>);

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.place)
    }
}

/// The errors of a port, as its faults need them.
pub(super) trait PortError: Sized {
    /// What can go wrong with a call that changes nothing.
    const READS: &'static [Fault];
    /// What can go wrong with a call that changes something.
    const WRITES: &'static [Fault];

    fn unavailable(text: &str) -> Self;
    /// Whether the port is out of service for this node now.
    fn is_out(node: &Node) -> bool;
}

impl PortError for StoreError {
    const READS: &'static [Fault] = &[Fault::CrashBefore, Fault::StoreUnavailable];
    const WRITES: &'static [Fault] =
        &[Fault::CrashBefore, Fault::CrashAfter, Fault::StoreUnavailable, Fault::StoreNoAnswer];

    fn unavailable(text: &str) -> Self {
        Self::Unavailable(text.into())
    }

    fn is_out(node: &Node) -> bool {
        node.core().is_out(node.service())
    }
}

impl PortError for LogError {
    const READS: &'static [Fault] = &[Fault::CrashBefore, Fault::LogUnavailable];
    const WRITES: &'static [Fault] =
        &[Fault::CrashBefore, Fault::CrashAfter, Fault::LogUnavailable, Fault::LogNoAnswer];

    fn unavailable(text: &str) -> Self {
        Self::Unavailable(text.into())
    }

    fn is_out(_: &Node) -> bool {
        false
    }
}

impl Node {
    pub(super) fn new(core: &Arc<Core>, seat: Seat, life: u64) -> Self {
        let place: Arc<str> = format!("{}/{}", core.services[seat.0].name, seat.1).into();
        let group = core.exec.new_group();
        core.note(&place, "boot", life);
        core.changed();
        Self(Arc::new(Life {
            seat,
            place,
            group,
            clock: Arc::new(SimClock::new(core.exec.clone())),
            dead: AtomicBool::new(false),
            members: Mutex::default(),
            core: core.clone(),
        }))
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    pub(super) fn service(&self) -> usize {
        self.0.seat.0
    }

    pub(super) fn seat(&self) -> Seat {
        self.0.seat
    }

    pub(super) fn place(&self) -> &Arc<str> {
        &self.0.place
    }

    pub(super) fn group(&self) -> GroupId {
        self.0.group
    }

    pub(super) fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    pub(super) fn members(&self) -> MutexGuard<'_, Vec<(Arc<str>, u64)>> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an engine needs, with chance of this life's own.
    pub(super) fn runtime(&self) -> Runtime {
        let core = self.core();
        let spawner = SimSpawner { exec: core.exec.clone(), group: self.0.group };
        let seed = Dice::of(core.seed, &self.0.place, self.0.group.0).bits();
        Runtime {
            clock: self.0.clock.clone(),
            spawner: Arc::new(spawner),
            entropy: Entropy::seeded(seed),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.dead.load(Ordering::Relaxed)
    }

    /// The instance is no more: nothing of it runs, nothing is given back. Its group notices after a
    /// while; it starts again later.
    pub(super) fn die(&self, restart_after: Duration) {
        if self.0.dead.swap(true, Ordering::Relaxed) {
            return;
        }
        let core = self.core();
        core.note(self.place(), "dies", 0);
        core.tell(self.place(), || "is dead".to_owned());
        core.exec.kill(self.0.group);
        core.died(self.0.seat);
        core.changed();
        core.boot_later(self.0.seat, restart_after);
        self.expel_after(self.core().times.session);
    }

    /// The run is over: what is dropped now has nothing to say.
    pub(super) fn silence(&self) {
        self.0.dead.store(true, Ordering::Relaxed);
    }

    /// It stands still; its groups put it out when that takes too long.
    pub(super) fn pause(&self, pause: Duration) {
        let exec = &self.core().exec;
        exec.pause(self.0.group, exec.now().plus(pause));
        if pause > self.core().times.session {
            self.expel_after(self.core().times.session);
        }
    }

    /// Puts the members that it has now out of their groups.
    pub(super) fn expel_after(&self, after: Duration) {
        let (core, members) = (self.core().clone(), self.members().clone());
        self.core().later(after, move || {
            for (group, member) in members {
                core.changed();
                core.log.expel_member(&group, member);
            }
        });
    }

    /// A request is on its way; it arrives nowhere when its sender is dead.
    pub(super) async fn reach(&self, op: &'static str) -> Site {
        let core = self.core();
        if self.is_dead() {
            pending::<()>().await;
        }
        let site = core.site(&self.0.place, op);
        core.exec.sleep(core.latency(&site, "there")).await;
        // A caller from outside of the instance must not go on where the instance stands still.
        while core.exec.is_paused(self.0.group) && !self.is_dead() {
            core.exec.sleep(Duration::from_millis(100)).await;
        }
        if self.is_dead() {
            pending::<()>().await;
        }
        core.note(&self.0.place, op, u64::from(site.nth));
        core.tell_call(&self.0.place, || format!("  {op}#{}", site.nth));
        site
    }

    /// The answer is on its way.
    pub(super) async fn back(&self, site: &Site) {
        let core = self.core();
        core.exec.sleep(core.latency(site, "back")).await;
    }

    /// No answer comes; the caller gives up after a while.
    pub(super) async fn time_out(&self, site: &Site) {
        let core = self.core();
        core.exec.sleep(core.some_time(site, "time-out", 5, 2_000)).await;
    }

    /// Dies, and never answers.
    pub(super) async fn die_at(&self, site: &Site) {
        self.die(self.restart_after(site));
        pending::<()>().await;
    }

    pub(super) fn restart_after(&self, site: &Site) -> Duration {
        self.core().some_time(site, "restart", 20, 9_000)
    }

    /// A call that changes nothing.
    pub(super) async fn read<T, E: PortError>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.call(op, E::READS, call).await
    }

    /// A call that changes something.
    pub(super) async fn write<T, E: PortError>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let result = self.call(op, E::WRITES, call).await;
        self.core().changed();
        result
    }

    /// A call in which these things can go wrong.
    pub(super) async fn call<T, E: PortError>(
        &self,
        op: &'static str,
        possible: &[Fault],
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let site = self.reach(op).await;
        if E::is_out(self) {
            self.time_out(&site).await;
            return Err(E::unavailable("simulated: out of service"));
        }
        match self.core().decide(&site, possible) {
            None => {}
            Some(Fault::CrashBefore) => self.die_at(&site).await,
            Some(Fault::CrashAfter) => {
                drop(call.await);
                self.die_at(&site).await;
                return Err(E::unavailable("simulated: dead"));
            }
            Some(Fault::StoreNoAnswer | Fault::LogNoAnswer) => {
                drop(call.await);
                self.time_out(&site).await;
                return Err(E::unavailable("simulated: no answer"));
            }
            Some(_) => {
                self.time_out(&site).await;
                return Err(E::unavailable("simulated: unavailable"));
            }
        }
        let result = call.await;
        self.core().note(&self.0.place, op, u64::from(result.is_ok()));
        self.back(&site).await;
        result
    }
}
