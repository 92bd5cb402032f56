//! A customer's points: an aggregate, its one fact and its one command.

use quadrille::prelude::*;
use serde::{Deserialize, Serialize};

use crate::CustomerId;

/// How many points a customer has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Points {
    balance: u64,
}

impl Aggregate for Points {
    const NAME: &'static str = "points";
    type Id = CustomerId;
    type Events = (Granted,);
}

/// The account's own business: it stays in the store.
#[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
#[event(type = "points.granted", private)]
pub struct Granted {
    points: u64,
}

impl Apply<Granted> for Points {
    fn apply(&mut self, granted: &Granted) {
        self.balance += granted.points;
    }
}

/// Adds to a customer's points. Nobody refuses them.
#[derive(Clone, Debug)]
pub struct Grant {
    /// How many to add; none leaves no trace.
    pub points: u64,
}

impl Command for Grant {
    type Aggregate = Points;
    type Emits = (Granted,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if self.points > 0 {
            facts.record(Granted { points: self.points });
        }
        Ok(())
    }
}
