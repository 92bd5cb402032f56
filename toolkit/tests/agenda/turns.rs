//! P14: a backlog of effects of one type does not keep those of another waiting until it is done.
//!
//! Each effect of the crowd is done the moment that it is begun, so that there is always a result to hand over:
//! this is what a fast outside does to a busy engine, without the chance in it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use quadrille::{
    effect::{Call, EffectError, EffectPolicy},
    engine::{Config, Engine},
    handler::Role,
    log::memory::MemoryLog,
    prelude::*,
    runtime::{BoxFuture, Runtime, Spawner},
    store::memory::MemoryStore,
};
use serde::{Deserialize, Serialize};

use crate::booking::until;

/// Effects of the crowd; far more than are under way or on their way to the intake at any time.
const CROWD: usize = 600;
/// The guest at whose entry somebody rings.
const ASKS: usize = 10;

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "door.opened", private)]
struct Opened {}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "door.let_in", effect = LetIn, key = guest)]
struct LetGuestIn {
    guest: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "door.was_let_in", outcome)]
struct LetIn {
    /// The first is 1.
    nth: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "door.ring", effect = Rang, key = door)]
struct Ring {
    door: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "door.rang", outcome)]
struct Rang {}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Door;

impl Aggregate for Door {
    const NAME: &'static str = "door";
    type Id = str;
    type Events = (Opened,);
}

impl Apply<Opened> for Door {
    fn apply(&mut self, _: &Opened) {}
}

#[derive(Clone)]
struct Open;

impl Command for Open {
    type Aggregate = Door;
    type Emits = (Opened, LetGuestIn);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Opened {});
        for guest in 0..CROWD {
            facts.request(LetGuestIn { guest });
        }
        Ok(())
    }
}

struct Doors;

impl Service for Doors {
    const NAME: &'static str = "doors";
    type Commands = (Open,);
    type Handles = (LetIn, Rang);
    type Steps = ();
}

#[handler]
impl EventHandler<LetIn> for Doors {
    type Emits = (Ring,);
    const ROLE: Role = Role::Outcome;
    async fn handle(
        &self,
        let_in: &Incoming<LetIn>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        if let_in.nth == ASKS {
            turn.request(Ring { door: "front".to_owned() });
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<Rang> for Doors {
    type Emits = ();
    const ROLE: Role = Role::Outcome;
    async fn handle(
        &self,
        _: &Incoming<Rang>,
        _: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// How many guests are in, and how many were when it rang.
#[derive(Clone, Debug)]
struct Hall {
    guests: Arc<AtomicUsize>,
    at_the_ring: Arc<AtomicUsize>,
}

impl Performer<LetGuestIn> for Hall {
    fn policy(&self) -> EffectPolicy {
        EffectPolicy::default().concurrency(8)
    }

    async fn perform(&self, _: &LetGuestIn, _: &Call) -> Result<LetIn, EffectError> {
        Ok(LetIn { nth: self.guests.fetch_add(1, Ordering::Relaxed) + 1 })
    }
}

impl Performer<Ring> for Hall {
    async fn perform(&self, _: &Ring, _: &Call) -> Result<Rang, EffectError> {
        self.at_the_ring.store(self.guests.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(Rang {})
    }
}

/// Carries an effect out where it is begun; everything else is a task.
#[derive(Debug)]
struct AtOnce;

impl Spawner for AtOnce {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        if name == "effect" {
            tokio::task::unconstrained(task).now_or_never().expect("it waits for nothing");
        } else {
            drop(tokio::spawn(task));
        }
    }
}

#[tokio::test]
async fn p14_a_backlog_of_one_effect_does_not_starve_another() {
    let nobody_yet = Arc::new(AtomicUsize::new(usize::MAX));
    let hall = Hall { guests: Arc::default(), at_the_ring: nobody_yet };
    let mut config = Config::new("t");
    // Few on their way to the intake: it commits while the crowd still waits.
    config.limits.agenda_claim_max = 4;
    config.limits.batch_works_max = 4;
    let engine = Engine::new(
        Doors,
        Arc::new(MemoryStore::default()),
        Arc::new(MemoryLog::default()),
        config,
    );
    let running = engine
        .performer::<LetGuestIn>(hall.clone())
        .performer::<Ring>(hall.clone())
        .runtime(Runtime { spawner: Arc::new(AtOnce), ..Runtime::tokio() })
        .start()
        .await
        .expect("the engine starts");
    let client = running.client();
    let _ = client.execute("front", Open).await.unwrap();
    until("the end of the crowd", || async {
        client.counters().effects_concluded == CROWD as u64 + 1
    })
    .await;
    let at_the_ring = hall.at_the_ring.load(Ordering::Relaxed);
    assert!((ASKS..CROWD / 2).contains(&at_the_ring), "it rang after {at_the_ring} guests");
    assert!(running.shutdown(Duration::from_secs(20)).await);
}
