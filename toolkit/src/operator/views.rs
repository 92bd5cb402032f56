//! What is shown, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::SagaId,
    log::record::base64_text,
    store::{
        AgendaItem, AgendaKind, AgendaState, HeldMessage, HeldState, Letter, RecordedEvent, Ruling,
    },
};

/// A message, a deadline or an effect that is held, pending or dead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LetterView {
    /// Its service.
    pub service: String,
    /// Its name, as rulings take it.
    pub letter: String,
    /// `message`, `deadline` or `effect`.
    pub kind: String,
    /// `parked`, `waiting`, `dead` or `aside` for a message; `pending` or `dead` for the others.
    pub state: String,
    /// Its event type; empty when it could not be read.
    pub event_type: String,
    /// Its key; empty when it could not be read.
    pub key: String,
    /// Its saga, when it could be read.
    pub saga: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it is held, or when it was asked for.
    pub since: String,
    /// When it is tried again, or due.
    pub next_at: Option<String>,
    /// The last error, with its sources.
    pub reason: String,
    /// An effect: it may have reached the outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_done: bool,
    /// A message's headers.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub headers: Value,
    /// Its payload.
    pub payload: Value,
}

impl LetterView {
    pub(crate) fn of(service: &str, letter: &Letter) -> Self {
        match letter {
            Letter::Message(held) => Self::of_message(service, letter.id().to_string(), held),
            Letter::Item(item) => Self::of_item(service, letter.id().to_string(), item),
        }
    }

    fn of_message(service: &str, letter: String, held: &HeldMessage) -> Self {
        let (state, again) = match held.state {
            HeldState::Parked => ("parked", Some(held.next_at.rfc3339())),
            HeldState::Waiting => ("waiting", None),
            HeldState::Dead => ("dead", None),
            HeldState::Aside => ("aside", None),
        };
        Self {
            service: service.to_owned(),
            letter,
            kind: "message".to_owned(),
            state: state.to_owned(),
            event_type: held.event_type.clone(),
            key: held.key.to_string(),
            saga: held.saga.clone(),
            attempts: held.attempts,
            since: held.held_at.rfc3339(),
            next_at: again,
            reason: held.reason.clone(),
            may_be_done: false,
            headers: serde_json::from_slice(&held.headers).unwrap_or(Value::Null),
            payload: payload(&held.payload),
        }
    }

    fn of_item(service: &str, letter: String, item: &AgendaItem) -> Self {
        let (state, again) = match item.state {
            AgendaState::Pending => ("pending", Some(item.due.rfc3339())),
            AgendaState::Dead => ("dead", None),
        };
        Self {
            service: service.to_owned(),
            letter,
            kind: item.kind.name().to_owned(),
            state: state.to_owned(),
            event_type: item.name.to_string(),
            key: item.key.to_string(),
            saga: Some(item.saga.to_string()),
            attempts: item.attempts,
            since: item.set_at.rfc3339(),
            next_at: again,
            reason: item.reason.clone(),
            may_be_done: item.kind == AgendaKind::Effect && item.begun,
            headers: Value::Null,
            payload: payload(&item.payload),
        }
    }
}

/// A ruling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulingView {
    /// The service of the letter.
    pub service: String,
    /// Its number in the service.
    pub number: u64,
    /// When.
    pub at: String,
    /// Who.
    pub who: String,
    /// `replay`, `skip`, `resolve` or `answer`.
    pub action: String,
    /// Why.
    pub note: String,
    /// On which letter.
    pub letter: String,
    /// The letter's event type.
    pub event_type: String,
    /// The letter's key.
    pub key: String,
    /// The letter's saga.
    pub saga: Option<String>,
    /// Why the letter was dead.
    pub reason: String,
}

impl RulingView {
    pub(super) fn of(service: &str, ruling: &Ruling) -> Self {
        Self {
            service: service.to_owned(),
            number: ruling.number,
            at: ruling.at.rfc3339(),
            who: ruling.who.clone(),
            action: ruling.action.clone(),
            note: ruling.note.clone(),
            letter: ruling.letter.to_string(),
            event_type: ruling.event_type.clone(),
            key: ruling.key.clone(),
            saga: ruling.saga.clone(),
            reason: ruling.reason.clone(),
        }
    }
}

/// An event of a saga.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// The service in whose store it is.
    pub service: String,
    /// When it was decided.
    pub at: String,
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// Its stream and its version there.
    pub stream: String,
    /// Its version in the stream.
    pub version: u64,
    /// What caused it: an event's id, a command's, or `deadline:…` and `effect:…`.
    pub caused_by: String,
    /// The lane and the number under which it is on the log; private events have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<(u32, u64)>,
    /// Its payload.
    pub payload: Value,
}

impl EventView {
    fn of(service: &str, event: &RecordedEvent) -> Self {
        Self {
            service: service.to_owned(),
            at: event.time.rfc3339(),
            id: event.id.to_string(),
            event_type: event.event_type.to_string(),
            stream: event.stream.to_string(),
            version: event.version,
            caused_by: event.causation.clone(),
            published: event.published.as_ref().map(|p| (p.lane.0, p.lane_seq)),
            payload: payload(&event.payload),
        }
    }
}

/// A saga in one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SagaView {
    /// The service.
    pub service: String,
    /// The saga.
    pub saga: String,
    /// Its events, by time.
    pub events: Vec<EventView>,
    /// What is held of it: parked, waiting and dead messages; pending and dead deadlines and effects.
    pub open: Vec<LetterView>,
    /// What persons have ruled.
    pub rulings: Vec<RulingView>,
}

impl SagaView {
    pub(super) fn of(
        service: &str,
        saga: SagaId,
        events: &[RecordedEvent],
        held: Vec<HeldMessage>,
        agenda: Vec<AgendaItem>,
        rulings: &[Ruling],
    ) -> Self {
        let messages = held.into_iter().map(|held| Letter::Message(Box::new(held)));
        let items = agenda.into_iter().map(|item| Letter::Item(Box::new(item)));
        Self {
            service: service.to_owned(),
            saga: saga.to_string(),
            events: events.iter().map(|event| EventView::of(service, event)).collect(),
            open: messages.chain(items).map(|letter| LetterView::of(service, &letter)).collect(),
            rulings: rulings.iter().map(|ruling| RulingView::of(service, ruling)).collect(),
        }
    }

    /// What happened, in the order of time, together with what the other services know of the saga.
    #[must_use]
    pub fn timeline(sagas: &[Self]) -> Vec<Happening<'_>> {
        let mut all: Vec<Happening<'_>> = vec![];
        for saga in sagas {
            all.extend(saga.events.iter().map(Happening::Event));
            all.extend(saga.rulings.iter().map(Happening::Ruling));
            all.extend(saga.open.iter().map(Happening::Open));
        }
        // RFC 3339 in UTC with microseconds: its order as text is its order in time.
        all.sort_by(|a, b| a.place().cmp(&b.place()));
        all
    }
}

/// One line of a saga's timeline.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// An event.
    Event(&'a EventView),
    /// A ruling.
    Ruling(&'a RulingView),
    /// Something that is held, pending or dead.
    Open(&'a LetterView),
}

impl Happening<'_> {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> &str {
        match self {
            Self::Event(event) => &event.at,
            Self::Ruling(ruling) => &ruling.at,
            Self::Open(letter) => &letter.since,
        }
    }

    /// One append has one time: its events stand in the order of their streams.
    fn place(&self) -> (&str, u8, &str, u64) {
        match self {
            Self::Event(event) => (&event.at, 0, &event.stream, event.version),
            Self::Ruling(ruling) => (&ruling.at, 1, &ruling.letter, ruling.number),
            Self::Open(letter) => (&letter.since, 2, &letter.letter, 0),
        }
    }
}

fn payload(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(base64_text(bytes)))
}
