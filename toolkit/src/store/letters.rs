//! Letters: what is dead and waits for a person, and what persons have ruled.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;

use super::{AgendaItem, AgendaKind, AgendaState, HeldMessage, HeldState};
use crate::{
    id::{AgendaId, Lane, SagaId, SourceLane},
    runtime::Timestamp,
};

/// Names a dead letter: `message/<topic>/<lane>/<id>` or `agenda/<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LetterId {
    /// A message of a lane.
    Message {
        /// The lane that brought it.
        source: SourceLane,
        /// Its `ce_id`, or what stands for one.
        id: String,
    },
    /// A deadline or an effect.
    Agenda(AgendaId),
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { source, id } => {
                write!(f, "message/{}/{}/{id}", source.topic, source.lane.0)
            }
            Self::Agenda(id) => write!(f, "agenda/{id}"),
        }
    }
}

/// A text that names no letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no letter: write `message/<topic>/<lane>/<id>` or `agenda/<id>`")]
pub struct NotALetter(String);

impl FromStr for LetterId {
    type Err = NotALetter;

    fn from_str(text: &str) -> Result<Self, NotALetter> {
        let wrong = || NotALetter(text.to_owned());
        // PostgreSQL has no such sign in a text.
        if text.contains('\0') {
            return Err(wrong());
        }
        match text.split_once('/').ok_or_else(wrong)? {
            ("agenda", id) => id.parse().map(Self::Agenda).map_err(|_| wrong()),
            ("message", rest) => {
                // Topics have no slash; an id may have one.
                let mut parts = rest.splitn(3, '/');
                let (topic, lane, id) = (parts.next(), parts.next(), parts.next());
                let (Some(topic), Some(lane), Some(id)) = (topic, lane, id) else {
                    return Err(wrong());
                };
                let lane = Lane(lane.parse().map_err(|_| wrong())?);
                let source = SourceLane { topic: topic.into(), lane };
                Ok(Self::Message { source, id: id.to_owned() })
            }
            _ => Err(wrong()),
        }
    }
}

/// A dead letter, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A message.
    Message(Box<HeldMessage>),
    /// A deadline or an effect.
    Item(Box<AgendaItem>),
}

impl Letter {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> LetterId {
        match self {
            Self::Message(held) => {
                LetterId::Message { source: held.source.clone(), id: held.id.clone() }
            }
            Self::Item(item) => LetterId::Agenda(item.id),
        }
    }

    /// How often it was tried; a ruling names the number that its author saw.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Message(held) => held.attempts,
            Self::Item(item) => item.attempts,
        }
    }

    /// Whether it is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        match self {
            Self::Message(held) => matches!(held.state, HeldState::Dead | HeldState::Aside),
            Self::Item(item) => item.state == AgendaState::Dead,
        }
    }

    /// Why a ruling cannot be done on it, whatever else is stored.
    #[must_use]
    pub fn unfit(&self, action: &Action) -> Option<&'static str> {
        match (self, action) {
            _ if !self.is_dead() => Some("it is not dead: it is tried again by itself"),
            (Self::Message(held), Action::Replay) if held.key.is_empty() => Some(
                "it could not be read, so it cannot be replayed: skip it, or resolve it by hand",
            ),
            (Self::Item(item), Action::Answer { .. }) if item.kind == AgendaKind::Effect => None,
            (_, Action::Answer { .. }) => Some("only an effect can be given an outcome"),
            _ => None,
        }
    }
}

impl Letter {
    /// Why a ruling is not done on it, if it is not.
    pub(super) fn refuses(&self, new: &NewRuling) -> Option<Ruled> {
        match self.unfit(&new.action) {
            Some(why) => Some(Ruled::Unfit(why)),
            None => (self.attempts() != new.attempts).then_some(Ruled::Changed),
        }
    }

    /// What is recorded of it with a ruling.
    pub(super) fn about(&self) -> About {
        match self {
            Self::Message(held) => About {
                event_type: held.event_type.clone(),
                key: held.key.to_string(),
                saga: held.saga.clone(),
                reason: held.reason.clone(),
            },
            Self::Item(item) => About {
                event_type: item.name.to_string(),
                key: item.key.to_string(),
                saga: Some(item.saga.to_string()),
                reason: item.reason.clone(),
            },
        }
    }
}

/// What a ruling remembers of its letter.
pub(super) struct About {
    pub(super) event_type: String,
    pub(super) key: String,
    pub(super) saga: Option<String>,
    pub(super) reason: String,
}

/// How far the clocks of two services may be apart before a saga's first events are not found.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(15 * 60);

/// A time before which nothing of a saga was appended. Ids that do not tell when they were made say nothing.
pub(super) fn saga_since(saga: SagaId) -> Timestamp {
    if saga.0.get_version_num() != 7 {
        return Timestamp(i64::MIN);
    }
    let ms = i64::try_from(saga.0.as_u128() >> 80).unwrap_or(i64::MAX);
    let apart = i64::try_from(CLOCKS_APART_MAX.as_micros()).unwrap_or(i64::MAX);
    Timestamp(ms.saturating_mul(1000).saturating_sub(apart))
}

/// What a person does about a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is tried again, in its place before the later ones of its key.
    Replay,
    /// It is taken away: it is not needed. The later ones of its key go on.
    Skip,
    /// It is taken away: what it should have done was done by hand. The later ones of its key go on.
    Resolve,
    /// An effect whose outcome the person has found out: it comes to its handler.
    Answer {
        /// The payload of the outcome's event.
        outcome: Bytes,
    },
}

impl Action {
    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Skip => "skip",
            Self::Resolve => "resolve",
            Self::Answer { .. } => "answer",
        }
    }
}

/// A ruling that is to be done and recorded, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRuling {
    /// On which letter.
    pub letter: LetterId,
    /// The attempts that its author saw: if it was tried since, the ruling is not done.
    pub attempts: u32,
    /// What is done.
    pub action: Action,
    /// Who does it.
    pub who: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// What became of a ruling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruled {
    /// Done and recorded, under this number.
    Done(u64),
    /// There is no such letter.
    NotThere,
    /// It was tried meanwhile: look at it again.
    Changed,
    /// It cannot be done on this letter.
    Unfit(&'static str),
}

/// A ruling, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Grows with each ruling of the store.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// The name of the [`Action`].
    pub action: String,
    /// Why.
    pub note: String,
    /// On which letter.
    pub letter: LetterId,
    /// The letter's event type.
    pub event_type: String,
    /// The letter's key.
    pub key: String,
    /// The letter's saga, when it could be read.
    pub saga: Option<String>,
    /// Why the letter was dead.
    pub reason: String,
}

/// How many dead letters wait for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// Messages, those set aside included.
    pub messages: u64,
    /// Deadlines.
    pub deadlines: u64,
    /// Effects.
    pub effects: u64,
}

impl LetterCounts {
    /// From rows of a kind and its number. The tables have no other kinds.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = (&'a str, i64)>) -> Self {
        let mut counts = Self::default();
        for (kind, count) in rows {
            let place = match kind {
                "message" => &mut counts.messages,
                "deadline" => &mut counts.deadlines,
                _ => &mut counts.effects,
            };
            *place = count.unsigned_abs();
        }
        counts
    }
}

/// What the tables are asked for it: a kind and its number in each row.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) const COUNT_LETTERS: &str = "
SELECT 'message', count(*) FROM held WHERE state IN ('dead', 'aside')
UNION ALL SELECT kind, count(*) FROM agenda WHERE state = 'dead' GROUP BY kind";

/// Which rulings to show.
#[derive(Clone, Debug, Default)]
pub struct RulingQuery {
    /// Only those with a greater number.
    pub after: u64,
    /// Only those of this saga.
    pub saga: Option<SagaId>,
    /// At most so many, by number.
    pub limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_is_looked_for_from_its_beginning_on() {
        // 2024-01-01T00:00:00Z, by RFC 9562.
        let saga = SagaId("018cc251-f400-7000-8000-000000000000".parse().unwrap());
        let quarter = 15 * 60 * 1_000_000;
        assert_eq!(saga_since(saga), Timestamp(1_704_067_200_000_000 - quarter));
        let unknown = SagaId("018cc251-f400-4000-8000-000000000000".parse().unwrap());
        assert_eq!(saga_since(unknown), Timestamp(i64::MIN));
    }

    #[test]
    fn a_letters_name_reads_back() {
        let lane = SourceLane { topic: "demo.order.events".into(), lane: Lane(3) };
        let message = LetterId::Message { source: lane, id: "a/b".to_owned() };
        let item = LetterId::Agenda(AgendaId::named("x"));
        for id in [message, item] {
            assert_eq!(id.to_string().parse::<LetterId>(), Ok(id));
        }
        for wrong in ["", "message/t", "message/t/x/id", "message/t/1/\0", "agenda/1", "t/1/id"] {
            assert!(wrong.parse::<LetterId>().is_err(), "{wrong}");
        }
    }
}
