//! A process is killed at every call of a port between what a deadline or an effect begins with and its end:
//! each append, each load, the claim, the call to the outside, the question to it; before and after.
//!
//! One booking for each moment, all on one store. Each process dies at its own booking's moment, and its
//! successor may meet what the ones before it have left behind. In the end everything has happened once.

#[allow(unreachable_pub)]
mod fate;
#[allow(unreachable_pub)]
mod mortal;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use quadrille::{
    effect::{Asked, Call, EffectError, EffectPolicy, GivenUp, Schedule},
    engine::{CommandKey, Engine, Running},
    id::Lane,
    prelude::*,
    runtime::{BoxFuture, Runtime, Spawner},
    store::EventStore,
    testing::store_conformance::StorePlace,
};
use tokio::task::JoinHandle;

use self::{
    fate::{Dies, Fate},
    mortal::Mortal,
};
use crate::booking::*;

/// More moments than any of these bookings has.
const MOMENTS_MAX: usize = 60;

/// What a booking waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Time,
    Money,
    /// The first answer is lost on the way.
    MoneyAskedFor,
}

pub async fn p13_killed_at_every_call_between_setting_a_deadline_and_its_firing(
    place: &dyn StorePlace,
) {
    let moments = ["before the append", "after the append", "claimed"];
    killed_at_every_moment(place, Waits::Time, &moments).await;
}

pub async fn p14_killed_at_every_call_between_an_effect_and_its_outcome(place: &dyn StorePlace) {
    let moments = ["claimed", "before the call", "after the call", "after the append"];
    killed_at_every_moment(place, Waits::Money, &moments).await.paid_once();
}

pub async fn p14_killed_at_every_call_of_an_effect_whose_answer_is_lost(place: &dyn StorePlace) {
    let moments = ["after the call", "before the question", "after the question"];
    killed_at_every_moment(place, Waits::MoneyAskedFor, &moments).await.paid_once();
}

/// How the bookings' processes ended.
#[derive(Default)]
struct Ends {
    deaths: BTreeMap<String, Vec<&'static str>>,
    /// These saw the end of their booking.
    finished: Vec<String>,
}

impl Ends {
    fn take(&mut self, fate: &Fate, booking: String) {
        if fate.has_died() {
            self.deaths.insert(booking, fate.moments());
        } else {
            self.finished.push(booking);
        }
    }
}

/// Where each booking's process died, and what the outside saw of each.
struct Told {
    deaths: BTreeMap<String, Vec<&'static str>>,
    calls: BTreeMap<String, Calls>,
}

impl Told {
    fn has_seen(&self, moments: &[&str]) {
        let seen: BTreeSet<&str> = self.deaths.values().filter_map(|m| m.last().copied()).collect();
        for moment in moments {
            assert!(seen.contains(moment), "nobody died {moment}: {seen:?}");
        }
        // Both appends: the one that begins it, and the one that ends it.
        let both = |life: &Vec<&str>| {
            life.iter().filter(|moment| **moment == "after the append").count() >= 2
        };
        assert!(self.deaths.values().any(both), "{:?}", self.deaths);
    }

    /// What may have been begun is asked for, and then never sent a second time.
    fn paid_once(&self) {
        for (booking, moments) in &self.deaths {
            let calls = &self.calls[booking];
            assert_eq!(calls.performed, 1, "{booking}, killed after {moments:?}: {calls:?}");
            let last = moments.last().unwrap();
            if ["claimed", "before the call", "after the call"].contains(last) {
                assert!(calls.asked > 0, "{booking}, killed after {moments:?}: {calls:?}");
            }
        }
    }
}

/// Dies at every moment that a booking has, by count; and by name at those of `named` that no count has met, since on a
/// busy machine one booking's moments are not the next one's.
async fn killed_at_every_moment(
    place: &dyn StorePlace,
    waits: Waits,
    named: &[&'static str],
) -> Told {
    let world = World::on(place.open().await);
    let till = Till { outside: world.outside.clone(), waits, calls: Arc::default() };
    let mut ends = Ends::default();
    for moment in 0..MOMENTS_MAX {
        let booking = format!("b-{moment}");
        let fate = live(&world, place, &till, &booking, Dies::At(moment)).await;
        ends.take(&fate, booking);
        if !ends.finished.is_empty() {
            break;
        }
    }
    assert!(!ends.finished.is_empty(), "there are more moments: {:?}", ends.deaths);
    for name in named {
        if ends.deaths.values().any(|moments| moments.last() == Some(name)) {
            continue;
        }
        let booking = format!("b-{}", name.replace(' ', "-"));
        let fate = live(&world, place, &till, &booking, Dies::AtFirst(name)).await;
        ends.take(&fate, booking);
    }
    let Ends { deaths, finished } = ends;

    let fate = Arc::new(Fate::new("nobody's", Dies::Never));
    let survivor = Process::start(&world, place.open().await, &till, &fate).await;
    for booking in deaths.keys().chain(&finished) {
        // As a client does who has had no answer.
        survivor.book(booking, waits).await.expect("an answer");
    }
    until("the end of all", || async { world.items().await.is_empty() }).await;
    let end = if waits == Waits::Time { "EXPIRED" } else { "PAID" };
    for booking in deaths.keys().chain(&finished) {
        let said = said_of(&world, booking).await;
        assert_eq!(said, ["BOOKED", end], "{booking}, killed after {:?}", deaths.get(booking));
    }
    assert!(survivor.running.shutdown(DEADLINE).await);
    let calls = till.calls.lock().unwrap().clone();
    let told = Told { deaths, calls };
    told.has_seen(named);
    told
}

/// The life of one process: it books, and dies, or sees the booking's end.
async fn live(
    world: &World,
    place: &dyn StorePlace,
    till: &Till,
    booking: &str,
    dies: Dies,
) -> Arc<Fate> {
    let fate = Arc::new(Fate::new(booking, dies));
    let process = Process::start(world, place.open().await, till, &fate).await;
    let booked = process.book(booking, till.waits);
    fate.decided().await;
    booked.abort();
    process.kill().await;
    fate
}

/// The public events of one booking.
async fn said_of(world: &World, booking: &str) -> Vec<String> {
    let mut said = vec![];
    for lane in 0..world.config.lanes {
        for event in world.store.read_lane(Lane(lane), 0, 10_000).await.unwrap() {
            if event.published.is_some_and(|published| *published.key == *booking) {
                said.push(event.event_type.to_string());
            }
        }
    }
    said
}

/// An engine with tasks that can be ended, all of them, at once.
struct Process {
    running: Running<Bookings>,
    tasks: Arc<Tasks>,
}

impl Process {
    async fn start(
        world: &World,
        store: Arc<dyn EventStore>,
        till: &Till,
        fate: &Arc<Fate>,
    ) -> Self {
        let tasks = Arc::new(Tasks::default());
        let runtime = Runtime { spawner: tasks.clone(), ..Runtime::tokio() };
        let mut config = world.config.clone();
        config.instance = Some("one".to_owned());
        let store = Arc::new(Mortal { store, fate: fate.clone() });
        let engine = Engine::new(Bookings::default(), store, Arc::new(world.log.clone()), config);
        let running = engine
            .performer::<Pay>(MortalTill { till: till.clone(), fate: fate.clone() })
            .runtime(runtime)
            .start()
            .await
            .expect("the engine starts");
        Self { running, tasks }
    }

    fn book(&self, booking: &str, waits: Waits) -> JoinHandle<()> {
        let (client, booking) = (self.running.client(), booking.to_owned());
        let pay = waits != Waits::Time;
        let within = (!pay).then_some(Duration::from_millis(1));
        let key = CommandKey::new("POST /bookings", &booking, &[b"the same"]);
        tokio::spawn(async move {
            let book = Book { booking: booking.clone(), within, pay };
            let booked = client.execute_keyed(Some(key), &*booking, book).await;
            let _ = booked.expect("an answer").expect("a booking");
        })
    }

    async fn kill(self) {
        let tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
        for task in tasks {
            task.abort();
            // It was aborted.
            let _ = task.await;
        }
    }
}

/// Tokio's tasks, remembered.
#[derive(Debug, Default)]
struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Spawner for Tasks {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(tokio::spawn(task));
    }
}

#[derive(Clone, Debug, Default)]
struct Calls {
    performed: u32,
    asked: u32,
}

/// Where bookings are paid for. It outlives all processes.
#[derive(Clone)]
struct Till {
    outside: Outside,
    waits: Waits,
    calls: Arc<Mutex<BTreeMap<String, Calls>>>,
}

impl Till {
    fn count(&self, booking: &str, what: impl FnOnce(&mut Calls) -> &mut u32) -> u32 {
        let mut calls = self.calls.lock().unwrap();
        let count = what(calls.entry(booking.to_owned()).or_default());
        *count += 1;
        *count
    }
}

/// The way to the till of a process that will be killed.
struct MortalTill {
    till: Till,
    fate: Arc<Fate>,
}

impl Performer<Pay> for MortalTill {
    fn policy(&self) -> EffectPolicy {
        // A short time-out makes a short lease, which successors have to wait for.
        let ms = Duration::from_millis;
        EffectPolicy::default().schedule(Schedule::Steps(vec![ms(1); 10])).timeout(ms(100))
    }

    async fn perform(&self, pay: &Pay, call: &Call) -> Result<PayAnswered, EffectError> {
        self.fate.moment("before the call", &pay.booking).await;
        let answer = self.till.outside.perform(pay, call).await;
        let first = self.till.count(&pay.booking, |calls| &mut calls.performed) == 1;
        self.fate.moment("after the call", &pay.booking).await;
        if first && self.till.waits == Waits::MoneyAskedFor {
            return Err(EffectError::unknown("the line went dead"));
        }
        answer
    }

    async fn ask(&self, pay: &Pay, call: &Call) -> Result<Asked<PayAnswered>, EffectError> {
        self.fate.moment("before the question", &pay.booking).await;
        let answer = self.till.outside.ask(pay, call).await;
        self.till.count(&pay.booking, |calls| &mut calls.asked);
        self.fate.moment("after the question", &pay.booking).await;
        answer
    }

    fn give_up(&self, _: &Pay, _: &GivenUp) -> Option<PayAnswered> {
        None
    }
}
