//! The world outside of the services: what the performers of effects call. It has a state of its own, and
//! every call of it can fail.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{chance::Dice, core::Core, faults::Fault, node::Node, plan::Site};
use crate::{
    effect::{Call, EffectError},
    runtime::Timestamp,
};

const PERFORM: &[Fault] = &[
    Fault::CrashBefore,
    Fault::CrashMidway,
    Fault::CrashAfter,
    Fault::OutsideRefused,
    Fault::OutsideLost,
    Fault::OutsideNoAnswer,
    Fault::OutsideLate,
    Fault::OutsideTwice,
];
const ASK: &[Fault] =
    &[Fault::CrashBefore, Fault::CrashAfter, Fault::OutsideRefused, Fault::OutsideNoAnswer];

/// How late a request may arrive, in milliseconds.
const LATE_MS_MAX: u64 = 15_000;
/// How long a caller may wait for an answer that does not come, in milliseconds; its own time-out may be
/// shorter.
const NO_ANSWER_MS_MAX: u64 = 15_000;

/// All places outside, by the type of their state.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Places {
    /// The state of one place, made when it is first asked for.
    pub(super) fn of<T: Default + Send + 'static>(&self) -> Arc<Mutex<T>> {
        let mut places = lock(&self.0);
        let made = || Arc::new(Mutex::new(T::default())) as Arc<dyn Any + Send + Sync>;
        let place = places.entry(TypeId::of::<T>()).or_insert_with(made).clone();
        // What is stored under a type is of that type.
        place.downcast().unwrap_or_default()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The world outside, as one life of an instance reaches it.
#[derive(Clone)]
pub struct Outside {
    node: Node,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outside of {}", self.node.place())
    }
}

impl Outside {
    pub(super) fn of(node: Node) -> Self {
        Self { node }
    }

    /// The place whose state is a `T`: a gateway with its books. There is one of each type in a run, made when
    /// it is first reached; it outlives all instances, and nothing but calls changes it.
    #[must_use]
    pub fn place<T: Default + Send + 'static>(&self) -> Place<T> {
        Place { node: self.node.clone(), of: PhantomData }
    }

    /// Chance of the run's own, from the seed: the same for every life of every instance.
    #[must_use]
    pub fn dice(&self, purpose: &str) -> Dice {
        Dice::of(self.node.core().seed, purpose, 0)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.node.core().exec.now()
    }
}

/// A place outside, whose state is a `T`. Calls take time, and fail as [`Faults`](super::Faults) say.
pub struct Place<T> {
    node: Node,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self { node: self.node.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", type_name::<T>(), self.node.place())
    }
}

impl<T: Default + Send + 'static> Place<T> {
    /// Sends a request. `what` is done outside when it arrives: never, once, or more than once, perhaps when
    /// nobody waits for it any more.
    ///
    /// The simulation looks at each request whether the engine had to ask first (P14), and whether the
    /// caller passes on the `call` that it was given.
    ///
    /// # Errors
    /// [`EffectError::not_sent`] when the outside took no call, [`EffectError::unknown`] when no answer came.
    pub async fn perform<R: Send>(
        &self,
        call: &Call,
        what: impl Fn(&mut T) -> R + Send + Sync + 'static,
    ) -> Result<R, EffectError> {
        let (node, core) = (&self.node, self.node.core());
        let site = node.reach("perform").await;
        super::tries::performs(node, call);
        core.changed();
        let fault = core.decide(&site, PERFORM);
        let state = core.places.of::<T>();
        let act = Arc::new(move || what(&mut *lock(&state)));
        match fault {
            Some(Fault::CrashBefore) => node.die_at(&site).await,
            Some(Fault::CrashMidway) => {
                arrive_later(core, &site, &act);
                node.die_at(&site).await;
            }
            Some(Fault::CrashAfter) => {
                drop(act());
                node.die_at(&site).await;
            }
            Some(Fault::OutsideRefused) => {
                node.back(&site).await;
                return Err(EffectError::not_sent("simulated: the outside takes no call"));
            }
            Some(Fault::OutsideLost) => return no_answer(node, call, &site).await,
            Some(Fault::OutsideNoAnswer) => {
                drop(act());
                return no_answer(node, call, &site).await;
            }
            Some(Fault::OutsideLate) => {
                arrive_later(core, &site, &act);
                return no_answer(node, call, &site).await;
            }
            Some(Fault::OutsideTwice) => {
                let answer = act();
                arrive_later(core, &site, &act);
                node.back(&site).await;
                return Ok(answer);
            }
            _ => {}
        }
        let answer = act();
        core.changed();
        node.back(&site).await;
        Ok(answer)
    }

    /// Asks what has become of an earlier request; `what` changes nothing that a performer relies on.
    ///
    /// # Errors
    /// [`EffectError::unknown`] when no answer came.
    pub async fn ask<R: Send>(
        &self,
        call: &Call,
        what: impl FnOnce(&mut T) -> R + Send,
    ) -> Result<R, EffectError> {
        let (node, core) = (&self.node, self.node.core());
        let site = node.reach("ask").await;
        core.tries().asks(node.group(), call);
        let state = core.places.of::<T>();
        match core.decide(&site, ASK) {
            Some(Fault::CrashBefore) => node.die_at(&site).await,
            Some(Fault::CrashAfter) => {
                drop(what(&mut *lock(&state)));
                node.die_at(&site).await;
                return Err(EffectError::unknown("simulated: dead"));
            }
            Some(Fault::OutsideRefused) => {
                node.back(&site).await;
                return Err(EffectError::unknown("simulated: the outside takes no call"));
            }
            Some(_) => {
                drop(what(&mut *lock(&state)));
                wait_in_vain(node, &site).await;
                return Err(EffectError::unknown("simulated: no answer"));
            }
            None => {}
        }
        let answer = what(&mut *lock(&state));
        node.back(&site).await;
        Ok(answer)
    }
}

fn arrive_later<R, F>(core: &Arc<Core>, site: &Site, act: &Arc<F>)
where
    F: Fn() -> R + Send + Sync + 'static,
{
    let after = core.some_time(site, "late", 1, LATE_MS_MAX);
    let (core, place, act) = (core.clone(), site.place.clone(), act.clone());
    core.clone().arrive_later(after, move || {
        core.tell(&place, || "its late request arrives outside".to_owned());
        drop(act());
    });
}

async fn wait_in_vain(node: &Node, site: &Site) {
    let core = node.core();
    let wait: Duration = core.some_time(site, "no-answer", 5, NO_ANSWER_MS_MAX);
    core.exec.sleep(wait).await;
}

async fn no_answer<R>(node: &Node, call: &Call, site: &Site) -> Result<R, EffectError> {
    node.core().tries().unknown(node.group(), call);
    wait_in_vain(node, site).await;
    Err(EffectError::unknown("simulated: no answer"))
}
