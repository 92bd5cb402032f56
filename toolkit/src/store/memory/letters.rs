//! Dead letters, and what persons have ruled.

use std::sync::Arc;

use super::{agenda::AgendaRow, state::State};
use crate::{
    id::SagaId,
    store::{
        Action, AgendaKind, AgendaState, HeldMessage, HeldState, Letter, LetterCounts, LetterId,
        NewRuling, RecordedEvent, Ruled, Ruling, RulingQuery, letters::About, reason::kept,
    },
};

impl State {
    pub(super) fn held_of_saga(&self, saga: SagaId, limit: usize) -> Vec<HeldMessage> {
        let saga = saga.to_string();
        let of_saga = |message: &&HeldMessage| message.saga.as_ref() == Some(&saga);
        let mut held: Vec<_> = self.held.values().filter(of_saga).cloned().collect();
        held.sort_by(|a, b| (a.held_at, &a.source, a.seq).cmp(&(b.held_at, &b.source, b.seq)));
        held.truncate(limit);
        held
    }

    pub(super) fn saga_events(&self, saga: SagaId, limit: usize) -> Vec<RecordedEvent> {
        let all = self.streams.values().flatten();
        let mut events: Vec<&Arc<RecordedEvent>> = all.filter(|e| e.saga == saga).collect();
        // Ids are UUIDv7: they grow with time, and within one append in its order.
        events.sort_by_key(|event| (event.time, event.id));
        events.into_iter().take(limit).map(|event| (**event).clone()).collect()
    }

    pub(super) fn letter(&self, id: &LetterId) -> Option<Letter> {
        match id {
            LetterId::Message { source, id } => {
                let held = self.held.get(&(source.clone(), id.clone()))?;
                Some(Letter::Message(Box::new(held.clone())))
            }
            LetterId::Agenda(id) => Some(Letter::Item(Box::new(self.agenda.get(id)?.item.clone()))),
        }
    }

    pub(super) fn count_letters(&self) -> LetterCounts {
        let dead =
            |message: &&HeldMessage| matches!(message.state, HeldState::Dead | HeldState::Aside);
        let items = |kind: AgendaKind| {
            let dead =
                |row: &&AgendaRow| row.item.kind == kind && row.item.state == AgendaState::Dead;
            self.agenda.values().filter(dead).count() as u64
        };
        LetterCounts {
            messages: self.held.values().filter(dead).count() as u64,
            deadlines: items(AgendaKind::Deadline),
            effects: items(AgendaKind::Effect),
        }
    }

    pub(super) fn rule(&mut self, new: &NewRuling) -> Ruled {
        let Some(letter) = self.letter(&new.letter) else { return Ruled::NotThere };
        if let Some(refused) = letter.refuses(new) {
            return refused;
        }
        match &letter {
            Letter::Message(held) => self.rule_on_message(held, new),
            Letter::Item(item) => {
                if let Some(row) = self.agenda.get_mut(&item.id) {
                    match &new.action {
                        Action::Skip | Action::Resolve => {
                            self.agenda.remove(&item.id);
                        }
                        action => {
                            row.item.state = AgendaState::Pending;
                            row.item.due = new.at;
                            if let Action::Answer { outcome } = action {
                                row.item.outcome = Some(outcome.clone());
                            }
                        }
                    }
                }
            }
        }
        let number = self.rulings.len() as u64 + 1;
        self.rulings.push(record(number, new, &letter));
        Ruled::Done(number)
    }

    fn rule_on_message(&mut self, held: &HeldMessage, new: &NewRuling) {
        let at = (held.source.clone(), held.id.clone());
        if new.action == Action::Replay {
            if let Some(held) = self.held.get_mut(&at) {
                held.state = HeldState::Parked;
                held.next_at = new.at;
            }
        } else {
            self.held.remove(&at);
        }
    }

    pub(super) fn rulings(&self, query: &RulingQuery) -> Vec<Ruling> {
        let saga = query.saga.map(|saga| saga.to_string());
        self.rulings
            .iter()
            .filter(|ruling| ruling.number > query.after)
            .filter(|ruling| saga.is_none() || ruling.saga == saga)
            .take(query.limit)
            .cloned()
            .collect()
    }
}

fn record(number: u64, new: &NewRuling, letter: &Letter) -> Ruling {
    let About { event_type, key, saga, reason } = letter.about();
    Ruling {
        number,
        at: new.at,
        who: kept(&new.who).into_owned(),
        action: new.action.name().to_owned(),
        note: kept(&new.note).into_owned(),
        letter: new.letter.clone(),
        event_type,
        key,
        saga,
        reason,
    }
}
