//! A small choreography: a shop takes orders and takes them back, a till charges a purse and pays back.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use quadrille::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const PRICE: i64 = 5;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDERED", key = basket, source = "shop")]
pub struct Ordered {
    pub basket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "RETURNED", key = basket, source = "shop")]
pub struct Returned {
    pub basket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAID", key = basket, source = "till")]
pub struct Paid {
    pub basket: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAID_BACK", key = basket, source = "till")]
pub struct PaidBack {
    pub basket: String,
}

/// What the shop knows of a basket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Basket {
    pub ordered: bool,
    pub returned: bool,
    pub paid: u32,
}

impl Aggregate for Basket {
    const NAME: &'static str = "basket";
    type Id = str;
    type Events = (Ordered, Returned, Noted);
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "basket.noted", private)]
pub struct Noted {}

impl Apply<Ordered> for Basket {
    fn apply(&mut self, _: &Ordered) {
        self.ordered = true;
    }
}

impl Apply<Returned> for Basket {
    fn apply(&mut self, _: &Returned) {
        self.returned = true;
    }
}

impl Apply<Noted> for Basket {
    fn apply(&mut self, _: &Noted) {
        self.paid += 1;
    }
}

#[derive(Clone, Debug)]
pub struct Order {
    pub basket: String,
}

impl Command for Order {
    type Aggregate = Basket;
    type Emits = (Ordered,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if !known.ordered {
            known.record(Ordered { basket: self.basket });
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub struct Return {
    pub basket: String,
}

impl Command for Return {
    type Aggregate = Basket;
    type Emits = (Returned,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if known.ordered && !known.returned {
            known.record(Returned { basket: self.basket });
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub struct Note;

impl Command for Note {
    type Aggregate = Basket;
    type Emits = (Noted,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        known.record(Noted {});
        Ok(())
    }
}

#[derive(Debug, Default)]
pub struct Shop;

impl Service for Shop {
    const NAME: &'static str = "shop";
    type Commands = (Order, Return);
    type Handles = (Paid,);
    type Steps = ();
}

#[handler]
impl EventHandler<Paid> for Shop {
    type Emits = ();
    async fn handle(
        &self,
        paid: &Incoming<Paid>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let Ok(()) = turn.execute(&*paid.basket, Note).await?;
        Ok(())
    }
}

/// The one purse of all: every message changes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Purse {
    pub taken: i64,
}

impl Aggregate for Purse {
    const NAME: &'static str = "purse";
    type Id = str;
    type Events = (Moved,);
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "purse.moved", private)]
pub struct Moved {
    pub by: i64,
}

impl Apply<Moved> for Purse {
    fn apply(&mut self, moved: &Moved) {
        self.taken += moved.by;
    }
}

#[derive(Clone, Debug)]
pub struct Move {
    pub by: i64,
}

impl Command for Move {
    type Aggregate = Purse;
    type Emits = (Moved,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        known.record(Moved { by: self.by });
        Ok(())
    }
}

/// What is wrong with a till.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It says that it has paid back, and has not.
    Forgetful,
    /// It remembers outside of its turn whom it has charged.
    Remembers,
    /// Its handler fails at the first try of each of its lives, for a reason that passes.
    Flaky,
    /// Its handler panics.
    Panics,
    /// What it records rests on the order of a hash map.
    Unordered,
}

#[derive(Debug)]
pub struct Till {
    pub fault: Fault,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Till {
    pub fn new(fault: Fault) -> Self {
        Self { fault, seen: Arc::default() }
    }

    /// Whether it sees this key for the first time.
    fn first(&self, key: &str) -> bool {
        self.seen.lock().unwrap().insert(key.to_owned())
    }
}

impl Service for Till {
    const NAME: &'static str = "till";
    type Commands = ();
    type Handles = (Ordered,);
    type Steps = (Compensatable<Paid>,);
}

#[handler]
impl EventHandler<Ordered> for Till {
    type Emits = (Paid,);
    async fn handle(
        &self,
        ordered: &Incoming<Ordered>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let basket = ordered.basket.clone();
        match self.fault {
            Fault::Flaky if self.first(&basket) => {
                return Err(HandlerError::retryable("the first try"));
            }
            Fault::Remembers if !self.first(&basket) => return Ok(()),
            Fault::Panics => panic!("told to panic"),
            _ => {}
        }
        let by = match self.fault {
            Fault::Unordered => any_of_a_hundred() * PRICE,
            _ => PRICE,
        };
        let Ok(()) = turn.execute("purse", Move { by }).await?;
        turn.record(Paid { basket });
        Ok(())
    }
}

fn any_of_a_hundred() -> i64 {
    std::collections::HashSet::<i64>::from_iter(1..=100).into_iter().next().unwrap()
}

#[handler]
impl Undo<Paid> for Till {
    type Because = (Returned,);
    type Emits = (PaidBack,);
    async fn undo(
        &self,
        paid: &Paid,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        if self.fault != Fault::Forgetful {
            let Ok(()) = turn.execute("purse", Move { by: -PRICE }).await?;
        }
        turn.record(PaidBack { basket: paid.basket.clone() });
        Ok(())
    }
}
