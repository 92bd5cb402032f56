//! A small service: a booking is paid for outside, or its time runs out.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use quadrille::{
    effect::{Asked, Call, EffectError, EffectPolicy, GivenUp, Schedule},
    engine::{Config, Engine, Running},
    handler::Role,
    log::memory::MemoryLog,
    prelude::*,
    store::{AgendaChange, AgendaItem, AgendaQuery, Append, AppendError, Appended, EventStore},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "BOOKED", key = booking, source = "booking")]
pub struct Booked {
    pub booking: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "EXPIRED", key = booking, source = "booking")]
pub struct Expired {
    pub booking: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAID", key = booking, source = "booking")]
pub struct Paid {
    pub booking: String,
    pub receipt: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "booking.time_is_up", deadline, key = booking)]
pub struct TimeIsUp {
    pub booking: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "booking.pay", effect = PayAnswered, key = booking)]
pub struct Pay {
    pub booking: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "booking.pay_answered", outcome)]
pub struct PayAnswered {
    pub receipt: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Booking {
    pub booked: bool,
    pub paid: Option<String>,
    pub expired: u32,
}

impl Aggregate for Booking {
    const NAME: &'static str = "booking";
    type Id = str;
    type Events = (Booked, Paid, Expired);
}
impl Apply<Booked> for Booking {
    fn apply(&mut self, _: &Booked) {
        self.booked = true;
    }
}
impl Apply<Paid> for Booking {
    fn apply(&mut self, event: &Paid) {
        self.paid = Some(event.receipt.clone());
    }
}
impl Apply<Expired> for Booking {
    fn apply(&mut self, _: &Expired) {
        self.expired += 1;
    }
}

/// Books; asks for the money when told to.
#[derive(Clone)]
pub struct Book {
    pub booking: String,
    pub within: Option<Duration>,
    pub pay: bool,
}

impl Command for Book {
    type Aggregate = Booking;
    type Emits = (Booked, TimeIsUp, Pay);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        let Self { booking, within, pay } = self;
        facts.record(Booked { booking: booking.clone() });
        if let Some(within) = within {
            facts.set_deadline(TimeIsUp { booking: booking.clone() }, within);
        }
        if pay {
            facts.request(Pay { booking });
        }
        Ok(())
    }
}

#[derive(Clone)]
pub struct Settle {
    pub booking: String,
    pub receipt: String,
}

impl Command for Settle {
    type Aggregate = Booking;
    type Emits = (Paid,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        let Self { booking, receipt } = self;
        facts.clear_deadline::<TimeIsUp>(&booking);
        facts.record(Paid { booking, receipt });
        Ok(())
    }
}

#[derive(Clone)]
pub struct Expire {
    pub booking: String,
}

impl Command for Expire {
    type Aggregate = Booking;
    type Emits = (Expired,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Expired { booking: self.booking });
        Ok(())
    }
}

/// Its handlers fail for good while the shelf is broken.
#[derive(Debug, Default)]
pub struct Bookings {
    pub broken: Arc<AtomicBool>,
}

impl Bookings {
    fn shelf(&self) -> Result<(), HandlerError> {
        let broken = self.broken.load(Ordering::Relaxed);
        if broken { Err(HandlerError::terminal("the shelf is broken")) } else { Ok(()) }
    }
}

impl Service for Bookings {
    const NAME: &'static str = "booking";
    type Commands = (Book, Settle);
    type Handles = (TimeIsUp, PayAnswered);
    type Steps = (Retriable<Paid>,);
}

#[handler]
impl EventHandler<TimeIsUp> for Bookings {
    type Emits = (Expired,);
    async fn handle(
        &self,
        up: &Incoming<TimeIsUp>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.shelf()?;
        let Ok(()) = turn.execute(&*up.booking, Expire { booking: up.booking.clone() }).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<PayAnswered> for Bookings {
    type Emits = (Paid,);
    const ROLE: Role = Role::Outcome;
    async fn handle(
        &self,
        answer: &Incoming<PayAnswered>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.shelf()?;
        let booking = answer.origin().key.to_string();
        let settle = Settle { booking: booking.clone(), receipt: answer.receipt.clone() };
        let Ok(()) = turn.execute(&*booking, settle).await?;
        Ok(())
    }
}

/// What the outside does at its next calls; then it obliges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Does it, and says so.
    Oblige,
    /// Does it, and the answer is lost.
    LoseAnswer,
    /// Does nothing, and says so.
    Refuse,
}

/// The world outside: remembers what it did under each key, and how it was asked.
#[derive(Clone, Debug, Default)]
pub struct Outside(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
pub struct Memory {
    pub moods: Vec<Mood>,
    pub done: Vec<String>,
    pub performed: Vec<String>,
    pub asked: Vec<String>,
}

impl Outside {
    pub fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

impl Performer<Pay> for Outside {
    fn policy(&self) -> EffectPolicy {
        let ms = Duration::from_millis;
        EffectPolicy::default().schedule(Schedule::Steps(vec![ms(1), ms(1), ms(1)]))
    }

    async fn perform(&self, _: &Pay, call: &Call) -> Result<PayAnswered, EffectError> {
        let key = call.key.to_string();
        self.with(|outside| {
            outside.performed.push(key.clone());
            let mood =
                if outside.moods.is_empty() { Mood::Oblige } else { outside.moods.remove(0) };
            if mood == Mood::Refuse {
                return Err(EffectError::not_sent("not now"));
            }
            if !outside.done.contains(&key) {
                outside.done.push(key.clone());
            }
            match mood {
                Mood::LoseAnswer => Err(EffectError::unknown("the line went dead")),
                _ => Ok(PayAnswered { receipt: key }),
            }
        })
    }

    async fn ask(&self, _: &Pay, call: &Call) -> Result<Asked<PayAnswered>, EffectError> {
        let key = call.key.to_string();
        Ok(self.with(|outside| {
            outside.asked.push(key.clone());
            if outside.done.contains(&key) {
                Asked::Done(PayAnswered { receipt: key })
            } else {
                Asked::NotDone
            }
        }))
    }

    fn give_up(&self, _: &Pay, _: &GivenUp) -> Option<PayAnswered> {
        None
    }
}

pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The service between a store and a log.
#[derive(Debug)]
pub struct World {
    pub store: Arc<dyn EventStore>,
    pub log: MemoryLog,
    pub outside: Outside,
    pub broken: Arc<AtomicBool>,
    pub config: Config,
}

impl World {
    pub fn on(store: Arc<dyn EventStore>) -> Self {
        let mut config = Config::new("t");
        config.lanes = 2;
        config.limits.agenda_poll_every = Duration::from_millis(2);
        config.limits.relay_poll_every = Duration::from_millis(2);
        config.retry.delay_first = Duration::from_millis(1);
        Self {
            store,
            log: MemoryLog::default(),
            outside: Outside::default(),
            broken: Arc::default(),
            config,
        }
    }

    /// What is on the agenda.
    pub async fn items(&self) -> Vec<AgendaItem> {
        let all = AgendaQuery { limit: 1000, ..AgendaQuery::default() };
        self.store.agenda(&all).await.unwrap()
    }

    /// Changes the agenda by hand.
    pub async fn change(&self, change: AgendaChange) -> Result<Appended, AppendError> {
        self.store.append(&Append { agenda: vec![change], ..Append::default() }).await
    }

    pub async fn start(&self) -> Running<Bookings> {
        self.start_as("one", self.store.clone()).await
    }

    /// Another instance, with its own connections to the store.
    pub async fn start_as(&self, instance: &str, store: Arc<dyn EventStore>) -> Running<Bookings> {
        let mut config = self.config.clone();
        config.instance = Some(instance.to_owned());
        Engine::new(
            Bookings { broken: self.broken.clone() },
            store,
            Arc::new(self.log.clone()),
            config,
        )
        .performer::<Pay>(self.outside.clone())
        .start()
        .await
        .expect("the engine starts")
    }
}
