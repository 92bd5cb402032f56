//! Telling someone that a letter is dead: manual work is the last resort, and it is never silent.
//!
//! Give the engine a performer for [`DeadLetter`]; it is told of each in the append in which it dies, at
//! least once:
//!
//! ```
//! use quadrille::{
//!     alert::{DeadLetter, DeadLetterTold},
//!     effect::{Call, EffectError},
//!     prelude::*,
//! };
//!
//! struct ToTheLog;
//!
//! impl Performer<DeadLetter> for ToTheLog {
//!     async fn perform(&self, letter: &DeadLetter, _: &Call) -> Result<DeadLetterTold, EffectError> {
//!         println!("{} waits for a person: {}", letter.letter, letter.reason);
//!         Ok(DeadLetterTold {})
//!     }
//! }
//! # // engine.performer::<DeadLetter>(ToTheLog)
//! # let _ = ToTheLog;
//! ```

use serde::{Deserialize, Serialize};

use crate::DomainEvent;

/// A message, a deadline or an effect that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(type = "quadrille.dead_letter", effect = DeadLetterTold, key = key)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The service in which it is dead.
    pub service: String,
    /// Its name, as the operator's tools take it.
    pub letter: String,
    /// Its event type; empty when it could not be read.
    pub event_type: String,
    /// Its key; empty when it could not be read.
    pub key: String,
    /// Its saga, when it could be read.
    pub saga: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The last error, with its sources.
    pub reason: String,
}

impl DeadLetter {
    /// The key of letters that have none.
    pub(crate) const UNKEYED: &'static str = "dead-letters";
}

/// Someone was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(type = "quadrille.dead_letter_told", outcome)]
pub struct DeadLetterTold {}
