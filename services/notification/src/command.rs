//! What can be asked of a notification.

use quadrille::{id::EventId, prelude::*, runtime::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Ending, Notification, NotificationAskedFor, NotificationDelivered, NotificationGivenUp,
    NotificationOwed, State, TellMerchant,
};

/// How often one notification can be asked for again. It bounds what one order leaves in the store, and what an
/// answer about it has to read and to show.
pub const AGAIN_MAX: u32 = 20;

/// An order has ended: its merchant is to be told. An order ends once, and so does this.
#[derive(Clone, Debug, PartialEq)]
pub struct Owe {
    /// What is to be told.
    pub ending: Ending,
}

impl Command for Owe {
    type Aggregate = Notification;
    type Emits = (NotificationOwed, TellMerchant);
    type Refusal = NoRefusal;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if known.ending().is_none() {
            known.request(TellMerchant::of(&self.ending, 1));
            known.record(NotificationOwed { ending: self.ending });
        }
        Ok(())
    }
}

/// Asks for a notification again. While it is being told, this changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct TellAgain;

/// Why a notification is not told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgainRefused {
    /// There is none: its order has not ended, or there is no such order.
    Unknown,
    /// It was asked for [`AGAIN_MAX`] times.
    TooOften,
}

impl Command for TellAgain {
    type Aggregate = Notification;
    type Emits = (NotificationAskedFor, TellMerchant);
    type Refusal = AgainRefused;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), AgainRefused> {
        let (Some(ending), Some(state)) = (known.ending().cloned(), known.state()) else {
            return Err(AgainRefused::Unknown);
        };
        match state {
            State::Pending => Ok(()),
            State::Delivered | State::GivenUp if known.tellings() > AGAIN_MAX => {
                Err(AgainRefused::TooOften)
            }
            State::Delivered | State::GivenUp => {
                known.record(NotificationAskedFor {});
                let telling = known.tellings();
                known.request(TellMerchant::of(&ending, telling));
                Ok(())
            }
        }
    }
}

/// A telling has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// The effect that carried it out.
    pub effect: EventId,
    /// Which telling, from 1.
    pub telling: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last try ended.
    pub at: Timestamp,
    /// How the last try ended.
    pub answer: Answer,
}

impl Command for Finish {
    type Aggregate = Notification;
    type Emits = (NotificationDelivered, NotificationGivenUp);
    type Refusal = NoRefusal;

    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        let Self { effect, telling, attempts, at, answer } = self;
        if known.state() != Some(State::Pending) || known.tellings() != telling {
            return Ok(());
        }
        match answer {
            Answer::Delivered => known.record(NotificationDelivered { effect, attempts, at }),
            Answer::GivenUp { reason } => {
                known.record(NotificationGivenUp { effect, attempts, at, reason });
            }
        }
        Ok(())
    }
}
