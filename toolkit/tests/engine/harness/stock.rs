//! The trial service's aggregates: stock that runs out, an account, a board of announcements.

use quadrille::prelude::*;
use serde::{Deserialize, Serialize};

use super::events::{Announced, Charged, Refunded};

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.filled", private)]
pub struct Filled {
    pub pieces: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.taken", private)]
pub struct Taken {}

#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "stock.status", private)]
pub struct StatusSet {
    pub status: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    pub available: i64,
    pub status: String,
}

impl Aggregate for Stock {
    const NAME: &'static str = "stock";
    type Id = str;
    type Events = (Filled, Taken, StatusSet);
}

impl Apply<Filled> for Stock {
    fn apply(&mut self, event: &Filled) {
        self.available += event.pieces;
    }
}

impl Apply<Taken> for Stock {
    fn apply(&mut self, _: &Taken) {
        self.available -= 1;
    }
}

impl Apply<StatusSet> for Stock {
    fn apply(&mut self, event: &StatusSet) {
        self.status.clone_from(&event.status);
    }
}

#[derive(Clone)]
pub struct Fill(pub i64);

impl Command for Fill {
    type Aggregate = Stock;
    type Emits = (Filled,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Filled { pieces: self.0 });
        Ok(())
    }
}

#[derive(Clone)]
pub struct SetStatus(pub &'static str);

impl Command for SetStatus {
    type Aggregate = Stock;
    type Emits = (StatusSet,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(StatusSet { status: self.0.to_owned() });
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NothingLeft;

#[derive(Clone)]
pub struct TakeOne;

impl Command for TakeOne {
    type Aggregate = Stock;
    type Emits = (Taken,);
    type Refusal = NothingLeft;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NothingLeft> {
        if facts.available == 0 {
            return Err(NothingLeft);
        }
        facts.record(Taken {});
        Ok(())
    }
}

/// Its public events are steps, recorded in its own stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub charged: i64,
}

impl Aggregate for Account {
    const NAME: &'static str = "account";
    type Id = str;
    type Events = (Charged, Refunded);
}

impl Apply<Charged> for Account {
    fn apply(&mut self, _: &Charged) {
        self.charged += 1;
    }
}

impl Apply<Refunded> for Account {
    fn apply(&mut self, _: &Refunded) {
        self.charged -= 1;
    }
}

#[derive(Clone)]
pub struct Charge {
    pub key: String,
    pub account: String,
}

impl Command for Charge {
    type Aggregate = Account;
    type Emits = (Charged,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Charged { key: self.key, account: self.account });
        Ok(())
    }
}

#[derive(Clone)]
pub struct Refund {
    pub key: String,
    pub account: String,
}

impl Command for Refund {
    type Aggregate = Account;
    type Emits = (Refunded,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Refunded { key: self.key, account: self.account });
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    pub texts: Vec<String>,
}

impl Aggregate for Board {
    const NAME: &'static str = "board";
    type Id = str;
    type Events = (Announced,);
}

impl Apply<Announced> for Board {
    fn apply(&mut self, event: &Announced) {
        self.texts.push(event.text.clone());
    }
}

/// Goes out at once, under the board's name as its key.
#[derive(Clone)]
pub struct Announce {
    pub key: String,
    pub text: String,
}

impl Command for Announce {
    type Aggregate = Board;
    type Emits = (Announced,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Announced { key: self.key, text: self.text });
        Ok(())
    }
}
