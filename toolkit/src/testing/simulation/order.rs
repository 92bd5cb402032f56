//! In which order the messages of a key were handled (P11), as the events that they caused show it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    id::{EventId, Lane, LaneSeq},
    store::{HeldChange, HeldState},
};

/// Where a public event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Whose event it is.
    pub(super) service: usize,
    pub(super) lane: Lane,
    pub(super) seq: LaneSeq,
    pub(super) key: Arc<str>,
}

/// What one service has handled.
#[derive(Debug, Default)]
pub(super) struct Handled {
    last: HashMap<(usize, Lane, Arc<str>), LaneSeq>,
    /// Messages that were set aside: what follows may pass them.
    aside: HashSet<String>,
}

impl Handled {
    pub(super) fn note_held(&mut self, change: &HeldChange) {
        match change {
            HeldChange::Hold(held) if held.state == HeldState::Aside => {
                self.aside.insert(held.id.clone());
            }
            HeldChange::Update { id, state: HeldState::Aside, .. } => {
                self.aside.insert(id.clone());
            }
            _ => {}
        }
    }

    /// A message has caused something: what is wrong with that now.
    pub(super) fn handles(&mut self, message: EventId, place: Place) -> Option<String> {
        let Place { service, lane, seq, key } = place;
        let last = self.last.entry((service, lane, key.clone())).or_default();
        if seq >= *last {
            *last = seq;
            return None;
        }
        if self.aside.contains(&message.to_string()) {
            return None;
        }
        Some(format!("number {seq} of {lane:?} was handled after number {last}; both are of {key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: LaneSeq, key: &str) -> Place {
        Place { service: 0, lane: Lane(0), seq, key: key.into() }
    }

    #[test]
    fn an_earlier_message_of_the_key_is_seen_and_another_key_is_not() {
        let (mut handled, id) = (Handled::default(), EventId(uuid::Uuid::nil()));
        assert_eq!(handled.handles(id, place(2, "a")), None);
        assert_eq!(handled.handles(id, place(2, "a")), None, "one message causes several events");
        assert_eq!(handled.handles(id, place(1, "b")), None);
        assert!(handled.handles(id, place(1, "a")).is_some_and(|wrong| wrong.contains("number 1")));
    }
}
