//! Who looks after dead letters: an effect is answered from the gateway's books where they have it, a scan that
//! cannot be read is skipped, and what a fault has killed is tried again.

use payment::{AccountRefunded, ChargeAccount, RefundAccount};
use quadrille::{
    DomainEvent,
    operator::LetterView,
    store::Action,
    testing::{Simulation, simulation::View},
};
use serde_json::Value;

use crate::{
    gateway::{Books, charged},
    parcels::ParcelScanned,
};

/// Lets a person look after the story.
pub(crate) fn looks_after(simulation: Simulation) -> Simulation {
    simulation.person(rule)
}

fn rule(letter: &LetterView, view: &View) -> Option<Action> {
    if view.is_by_a_fault(letter) {
        return Some(answered(letter, view).unwrap_or(Action::Replay));
    }
    (letter.event_type == ParcelScanned::TYPE).then_some(Action::Skip)
}

/// The outcome that the gateway's books show.
fn answered(letter: &LetterView, view: &View) -> Option<Action> {
    let key = letter.letter.strip_prefix("agenda/")?;
    let asked = |payload: &Value| serde_json::from_value(payload.clone()).ok();
    let outcome = view.outside(|books: &Books| match &*letter.event_type {
        ChargeAccount::TYPE => {
            let asked = asked(&letter.payload)?;
            serde_json::to_vec(&charged(asked, key, books.charges.get(key)?)).ok()
        }
        RefundAccount::TYPE => {
            books.refunds.get(key)?;
            let asked: RefundAccount = serde_json::from_value(letter.payload.clone()).ok()?;
            serde_json::to_vec(&AccountRefunded { asked }).ok()
        }
        _ => None,
    })?;
    Some(Action::Answer { outcome: outcome.into() })
}
