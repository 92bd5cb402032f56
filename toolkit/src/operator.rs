//! What an operator sees and does: dead letters, rulings, and everything that happened in one saga.
//!
//! The views are JSON as the HTTP interface gives it (`quadrille::http::operator`) and as the command line
//! reads it. Times are RFC 3339; payloads are JSON where they are JSON, else base64 text.

mod views;

pub use views::{EventView, Happening, LetterView, RulingView, SagaView};

use crate::{
    barrier,
    effect::Tries,
    engine::{Client, ClientError},
    event::Effect,
    id::SagaId,
    service::Service,
    store::{
        Action, AgendaQuery, AgendaState, HeldState, Letter, LetterId, NewRuling, Ruled,
        RulingQuery, StreamRead,
    },
};

/// The most letters, rulings or events that one answer has.
pub const SHOWN_MAX: usize = 1_000;
/// The longest name of a person, in bytes.
pub const WHO_BYTES_MAX: usize = 200;
/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_000;

/// No snapshot has this version of its shape: a stream is read from its first event.
const NO_SNAPSHOTS: u32 = 0;

/// A ruling that a person asks for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulingRequest {
    /// The letter's name.
    pub letter: String,
    /// The attempts that the person saw.
    pub attempts: u32,
    /// `replay`, `skip`, `resolve` or `answer`.
    pub action: String,
    /// Who rules.
    pub who: String,
    /// Why.
    pub note: String,
    /// The outcome of an effect, for `answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<serde_json::Value>,
}

/// Why a ruling was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulingError {
    /// The request does not say what it should.
    #[error("{0}")]
    Invalid(String),
    /// There is no such letter.
    #[error("there is no letter {0}")]
    NotThere(String),
    /// It was tried since the person looked.
    #[error(
        "the letter was tried since you looked: look at it again, then rule with its new attempts"
    )]
    Changed,
    /// It cannot be done on this letter.
    #[error("{0}")]
    Unfit(&'static str),
    /// The store cannot answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl RulingRequest {
    fn checked(self, at: crate::runtime::Timestamp) -> Result<NewRuling, RulingError> {
        let invalid = |text: String| Err(RulingError::Invalid(text));
        let letter: LetterId =
            self.letter.parse().map_err(|e| RulingError::Invalid(format!("{e}")))?;
        if self.who.trim().is_empty() || self.who.len() > WHO_BYTES_MAX {
            return invalid(format!("`who` is a name of 1 to {WHO_BYTES_MAX} bytes"));
        }
        if self.note.trim().is_empty() || self.note.len() > NOTE_BYTES_MAX {
            return invalid(format!("`note` says why, in 1 to {NOTE_BYTES_MAX} bytes"));
        }
        if self.who.contains('\0') || self.note.contains('\0') {
            return invalid("`who` and `note` have no NUL character".to_owned());
        }
        let action = match (self.action.as_str(), self.outcome) {
            ("replay", None) => Action::Replay,
            ("skip", None) => Action::Skip,
            ("resolve", None) => Action::Resolve,
            ("answer", Some(outcome)) => Action::Answer { outcome: outcome.to_string().into() },
            ("answer", None) => return invalid("`answer` needs an `outcome`".to_owned()),
            (_, Some(_)) => return invalid("`outcome` goes with `answer` only".to_owned()),
            (other, None) => {
                return invalid(format!("{other:?} is no action: replay, skip, resolve or answer"));
            }
        };
        let Self { attempts, who, note, .. } = self;
        Ok(NewRuling { letter, attempts, action, who, note, at })
    }
}

impl<S: Service> Client<S> {
    /// All dead letters of the service, oldest first, at most [`SHOWN_MAX`] of messages and of the agenda each.
    ///
    /// # Errors
    /// A store that cannot answer.
    pub async fn letters(&self) -> Result<Vec<LetterView>, ClientError> {
        let mut letters = vec![];
        for state in [HeldState::Dead, HeldState::Aside] {
            let held = self.store.held_in(state, SHOWN_MAX).await?;
            letters.extend(held.into_iter().map(|held| Letter::Message(Box::new(held))));
        }
        let query =
            AgendaQuery { state: Some(AgendaState::Dead), limit: SHOWN_MAX, ..Default::default() };
        let items = self.store.agenda(&query).await?;
        letters.extend(items.into_iter().map(|item| Letter::Item(Box::new(item))));
        let mut views: Vec<LetterView> =
            letters.iter().map(|letter| LetterView::of(S::NAME, letter)).collect();
        views.sort_by(|a, b| (&a.since, &a.letter).cmp(&(&b.since, &b.letter)));
        Ok(views)
    }

    /// One letter, dead or not.
    ///
    /// # Errors
    /// A store that cannot answer.
    pub async fn letter(&self, id: &LetterId) -> Result<Option<LetterView>, ClientError> {
        Ok(self.store.letter(id).await?.map(|letter| LetterView::of(S::NAME, &letter)))
    }

    /// Does what a person rules on a dead letter, and records it. Running engines act on it within
    /// [`Limits::rulings_poll_every`](crate::engine::Limits::rulings_poll_every).
    ///
    /// # Errors
    /// See [`RulingError`].
    pub async fn rule(&self, request: RulingRequest) -> Result<u64, RulingError> {
        let new = request.checked(self.runtime.clock.now())?;
        match self.store.rule(&new).await.map_err(ClientError::from)? {
            Ruled::Done(number) => Ok(number),
            Ruled::NotThere => Err(RulingError::NotThere(new.letter.to_string())),
            Ruled::Changed => Err(RulingError::Changed),
            Ruled::Unfit(why) => Err(RulingError::Unfit(why)),
        }
    }

    /// What was ruled after a number, at most [`SHOWN_MAX`].
    ///
    /// # Errors
    /// A store that cannot answer.
    pub async fn rulings(&self, after: u64) -> Result<Vec<RulingView>, ClientError> {
        let query = RulingQuery { after, saga: None, limit: SHOWN_MAX };
        let rulings = self.store.rulings(&query).await?;
        Ok(rulings.iter().map(|ruling| RulingView::of(S::NAME, ruling)).collect())
    }

    /// Everything of a saga in this service: its events with their causes, what is held, pending or dead of it,
    /// and what persons have ruled; at most [`SHOWN_MAX`] of each.
    ///
    /// # Errors
    /// A store that cannot answer.
    pub async fn saga(&self, saga: SagaId) -> Result<SagaView, ClientError> {
        let events = self.store.saga_events(saga, SHOWN_MAX).await?;
        let held = self.store.held_of_saga(saga, SHOWN_MAX).await?;
        let query = AgendaQuery { saga: Some(saga), limit: SHOWN_MAX, ..Default::default() };
        let agenda = self.store.agenda(&query).await?;
        let query = RulingQuery { saga: Some(saga), after: 0, limit: SHOWN_MAX };
        let rulings = self.store.rulings(&query).await?;
        Ok(SagaView::of(S::NAME, saga, &events, held, agenda, &rulings))
    }

    /// What has become so far of the effects `E` that this service requested under a key in a saga. Read from the
    /// stream of the key and from the agenda, by their indexes: cheap enough to be asked for by customers.
    ///
    /// # Errors
    /// A bad key, or a store that cannot answer.
    pub async fn tries<E: Effect>(&self, saga: SagaId, key: &str) -> Result<Tries, ClientError> {
        let read = StreamRead { stream: barrier::stream(key)?, snapshot_version: NO_SNAPSHOTS };
        let events = self.store.load(&[read]).await?.into_iter().flat_map(|slice| slice.events);
        let events = events.filter(|event| event.saga == saga).collect::<Vec<_>>();
        let query = AgendaQuery { saga: Some(saga), limit: SHOWN_MAX, ..Default::default() };
        let agenda = self.store.agenda(&query).await?;
        Ok(Tries::of::<E>(key, &events, &agenda))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Timestamp;

    fn request(who: &str, note: &str) -> RulingRequest {
        RulingRequest {
            letter: "message/t/0/m".to_owned(),
            attempts: 1,
            action: "skip".to_owned(),
            who: who.to_owned(),
            note: note.to_owned(),
            outcome: None,
        }
    }

    #[test]
    fn who_and_note_say_something_that_every_store_takes() {
        assert!(request("ada", "not needed").checked(Timestamp(1)).is_ok());
        let (long_who, long_note) = ("a".repeat(WHO_BYTES_MAX + 1), "a".repeat(NOTE_BYTES_MAX + 1));
        for (who, note, says) in [
            (" ", "why", "`who` is a name"),
            (&long_who, "why", "`who` is a name"),
            ("ada", "", "`note` says why"),
            ("ada", &long_note, "`note` says why"),
            ("a\0da", "why", "no NUL"),
            ("ada", "why\0", "no NUL"),
        ] {
            match request(who, note).checked(Timestamp(1)) {
                Err(RulingError::Invalid(text)) => assert!(text.contains(says), "{text}"),
                other => panic!("{who:?} {note:?}: {other:?}"),
            }
        }
    }
}
