//! Claims, and the held messages that are read with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::state::{PositionRow, State};
use crate::{
    id::SourceLane,
    mutant::{Mutant, broken},
    store::{Claim, Claimed, HeldHead, HeldMessage, HeldState, Position},
};

impl State {
    pub(super) fn claim(&mut self, lane: &SourceLane, claim: &Claim) -> Claimed {
        let consumes: BTreeSet<String> = claim.consumes.iter().cloned().collect();
        let row = self.positions.entry(lane.clone()).or_insert_with(|| PositionRow {
            epoch: 0,
            position: Position { last_seq: 0, last_id: None, next_offset: 0, start: claim.start },
            consumes: BTreeSet::new(),
        });
        let missing: Vec<String> = row.consumes.difference(&consumes).cloned().collect();
        if !missing.is_empty() {
            return Claimed::Refused { missing };
        }
        row.consumes = consumes;
        row.epoch += u64::from(!broken(Mutant::EpochNotRaised));
        let (epoch, position) = (row.epoch, row.position.clone());
        Claimed::Owned { epoch, position, held: self.heads(lane, claim.held_max) }
    }

    /// The first message of each key. Nothing waits behind a dead message without a key, or one set aside.
    fn heads(&self, lane: &SourceLane, limit: usize) -> Vec<HeldHead> {
        let mut heads: BTreeMap<&Arc<str>, &HeldMessage> = BTreeMap::new();
        for message in self.held_on(lane) {
            let keyless = message.key.is_empty() && message.state == HeldState::Dead;
            if keyless || message.state == HeldState::Aside {
                continue;
            }
            let head = heads.entry(&message.key).or_insert(message);
            if order(message) < order(head) {
                *head = message;
            }
        }
        let mut heads: Vec<&HeldMessage> = heads.into_values().collect();
        heads.sort_by_key(|message| order(message));
        heads.into_iter().take(limit).map(head).collect()
    }

    pub(super) fn held_of(&self, lane: &SourceLane, key: &str, limit: usize) -> Vec<HeldMessage> {
        let of_key =
            |message: &&HeldMessage| &*message.key == key && message.state != HeldState::Aside;
        let mut held: Vec<_> = self.held_on(lane).filter(of_key).collect();
        held.sort_by_key(|message| order(message));
        held.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn held_in(&self, state: HeldState, limit: usize) -> Vec<HeldMessage> {
        let mut held: Vec<_> =
            self.held.values().filter(|message| message.state == state).collect();
        held.sort_by_key(|message| (message.held_at, &message.source, order(message)));
        held.into_iter().take(limit).cloned().collect()
    }

    fn held_on<'a>(&'a self, lane: &'a SourceLane) -> impl Iterator<Item = &'a HeldMessage> {
        let from = (lane.clone(), String::new());
        self.held.range(from..).take_while(move |((of, _), _)| of == lane).map(|(_, held)| held)
    }
}

/// The order of a key's messages: as they stand in the log.
fn order(message: &HeldMessage) -> (u64, i64, &str) {
    (message.seq, message.offset, &message.id)
}

fn head(message: &HeldMessage) -> HeldHead {
    HeldHead {
        key: message.key.clone(),
        id: message.id.clone(),
        state: message.state,
        attempts: message.attempts,
        next_at: message.next_at,
    }
}
