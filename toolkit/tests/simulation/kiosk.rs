//! A service whose work is done outside: a kiosk sells a ticket and has a card charged for it. It also notes
//! what a foreign producer tells of it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use quadrille::{
    effect::{Asked, Call, EffectError, Performers},
    prelude::*,
    testing::simulation::{Outside, Place},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "WANTED", key = ticket, source = "kiosk")]
pub struct Wanted {
    pub ticket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SOLD", key = ticket, source = "kiosk")]
pub struct Sold {
    pub ticket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "REFUSED", key = ticket, source = "kiosk")]
pub struct Refused {
    pub ticket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PUNCHED", key = ticket, source = "gate")]
pub struct Punched {
    pub ticket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "kiosk.charge", effect = Charged, key = ticket)]
pub struct Charge {
    pub ticket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "kiosk.charged", outcome)]
pub struct Charged {
    pub ticket: String,
    pub paid: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ticket {
    pub wanted: bool,
    pub punched: u32,
}

impl Aggregate for Ticket {
    const NAME: &'static str = "ticket";
    type Id = str;
    type Events = (Wanted, Noted);
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "ticket.noted", private)]
pub struct Noted {}

impl Apply<Wanted> for Ticket {
    fn apply(&mut self, _: &Wanted) {
        self.wanted = true;
    }
}

impl Apply<Noted> for Ticket {
    fn apply(&mut self, _: &Noted) {
        self.punched += 1;
    }
}

#[derive(Clone, Debug)]
pub struct Want {
    pub ticket: String,
}

impl Command for Want {
    type Aggregate = Ticket;
    type Emits = (Wanted,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if !known.wanted {
            known.record(Wanted { ticket: self.ticket });
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub struct Punch;

impl Command for Punch {
    type Aggregate = Ticket;
    type Emits = (Noted,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        known.record(Noted {});
        Ok(())
    }
}

#[derive(Debug)]
pub struct Kiosk;

impl Service for Kiosk {
    const NAME: &'static str = "kiosk";
    type Commands = (Want,);
    type Handles = (Wanted, Charged, Punched);
    type Steps = ();
}

#[handler]
impl EventHandler<Wanted> for Kiosk {
    type Emits = (Charge,);
    async fn handle(
        &self,
        wanted: &Incoming<Wanted>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        turn.request(Charge { ticket: wanted.ticket.clone() });
        Ok(())
    }
}

#[handler]
impl EventHandler<Charged> for Kiosk {
    type Emits = (Sold, Refused);
    async fn handle(
        &self,
        charged: &Incoming<Charged>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let ticket = charged.ticket.clone();
        match charged.paid {
            true => turn.record(Sold { ticket }),
            false => turn.record(Refused { ticket }),
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<Punched> for Kiosk {
    type Emits = ();
    async fn handle(
        &self,
        punched: &Incoming<Punched>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let Ok(()) = turn.execute(&*punched.ticket, Punch).await?;
        Ok(())
    }
}

/// The card company's books: by the key of a request, whose card was charged.
#[derive(Debug, Default)]
pub struct Cards {
    pub charged: BTreeMap<String, String>,
}

/// What is wrong with how the cards are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    /// Each try has a key of its own.
    NewKeys,
    /// What is not known is taken for a refusal.
    Guesses,
}

#[derive(Debug)]
struct Line {
    cards: Place<Cards>,
    wrong: Wrong,
    tries: AtomicU64,
}

pub fn performers(outside: &Outside, wrong: Wrong) -> Performers {
    Performers::new().with::<Charge>(Line {
        cards: outside.place(),
        wrong,
        tries: AtomicU64::new(0),
    })
}

impl Performer<Charge> for Line {
    async fn perform(&self, charge: &Charge, call: &Call) -> Result<Charged, EffectError> {
        let ticket = charge.ticket.clone();
        let mut key = call.key.to_string();
        if self.wrong == Wrong::NewKeys {
            key = format!("{key} {}", self.tries.fetch_add(1, Ordering::Relaxed));
        }
        let card = ticket.clone();
        let done = self.cards.perform(call, move |cards| {
            cards.charged.insert(key.clone(), card.clone());
        });
        match done.await {
            Ok(()) => Ok(Charged { ticket, paid: true }),
            Err(_) if self.wrong == Wrong::Guesses => Ok(Charged { ticket, paid: false }),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, charge: &Charge, call: &Call) -> Result<Asked<Charged>, EffectError> {
        let key = call.key.to_string();
        let known = self.cards.ask(call, |cards| cards.charged.contains_key(&key)).await?;
        let charged = Charged { ticket: charge.ticket.clone(), paid: true };
        Ok(if known { Asked::Done(charged) } else { Asked::CannotTell })
    }
}
