//! Someone who wants to be told of dead letters.

use std::sync::{Arc, Mutex};

use quadrille::{
    alert::{DeadLetter, DeadLetterTold},
    effect::{Call, EffectError, EffectPolicy, Schedule},
    prelude::*,
};

/// What it does when it is rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ring {
    #[default]
    Hear,
    /// It never answers.
    Hang,
    /// It cannot be reached, now and later.
    Broken,
}

#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
pub struct Heard {
    pub how: Ring,
    pub rung: usize,
    /// Each letter with the key of the call.
    pub letters: Vec<(String, DeadLetter)>,
}

impl Bell {
    pub fn with<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

impl Performer<DeadLetter> for Bell {
    fn policy(&self) -> EffectPolicy {
        let pauses = vec![std::time::Duration::from_millis(1); 2];
        EffectPolicy::default().schedule(Schedule::Steps(pauses))
    }

    async fn perform(
        &self,
        letter: &DeadLetter,
        call: &Call,
    ) -> Result<DeadLetterTold, EffectError> {
        let how = self.with(|heard| {
            heard.rung += 1;
            heard.how
        });
        match how {
            Ring::Hear => {
                self.with(|heard| heard.letters.push((call.key.to_string(), letter.clone())));
                Ok(DeadLetterTold::default())
            }
            Ring::Hang => std::future::pending().await,
            Ring::Broken => Err(EffectError::not_sent("the bell is broken")),
        }
    }
}
