//! The lanes that an instance reads: positions (P2), dense numbers (P3), the log's identity (P8), and
//! the keys that are held back (P11). No I/O: the intake feeds it, the decider commits it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    id::{EventId, LaneSeq, SourceLane},
    mutant::{Mutant, broken},
    runtime::Timestamp,
    store::{Gap, HeldHead, HeldState, Position, PositionMove, StartAt},
    telemetry::metrics::HeldKeys,
};

/// How far a lane has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The owner's epoch under which it was taken: works of an earlier ownership are void.
    pub(crate) epoch: u64,
    pub(crate) seq: LaneSeq,
    pub(crate) id: Option<EventId>,
    pub(crate) next_offset: i64,
}

/// What to do with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one.
    Apply,
    /// It was applied before.
    Duplicate,
    /// The next one is missing: look `expected` up in the log before calling it a loss.
    Gap {
        /// The number that should have come.
        expected: LaneSeq,
    },
    /// The log has another event under a number that we have applied: it is not the log we read (P8).
    OtherLog {
        /// The number.
        seq: LaneSeq,
        /// The id that we applied.
        ours: EventId,
    },
    /// The lane is not ours, or stands still.
    Ignore,
}

/// The first held message of a key, and what has happened behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldKey {
    pub(crate) state: HeldState,
    pub(crate) next_at: Timestamp,
    /// How many messages this instance has put behind it: a retry that was loaded before the last of
    /// them does not know all.
    pub(crate) holds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Live,
    /// A gap was seen; records are ignored until the intake has looked it up.
    Seeking,
    Stopped,
}

#[derive(Debug)]
struct LaneState {
    epoch: u64,
    /// Durable.
    committed: Mark,
    /// In the append that is being committed.
    sealed: Mark,
    /// Taken from the log.
    accepted: Mark,
    /// Nothing was ever applied, and the start is wherever the topic begins.
    start_anywhere: bool,
    gap: Option<Gap>,
    held: HashMap<Arc<str>, HeldKey>,
    flow: Flow,
    /// Below this offset everything was taken, unless the log was made again.
    taken_to: i64,
}

/// All lanes of an instance.
#[derive(Debug, Default)]
pub(crate) struct LaneBook {
    lanes: BTreeMap<SourceLane, LaneState>,
    /// Parked keys by the time of their next try; those being tried are not in it.
    due: BTreeSet<(Timestamp, SourceLane, Arc<str>)>,
}

impl LaneBook {
    /// Takes a claimed lane in.
    pub(crate) fn adopt(
        &mut self,
        source: SourceLane,
        epoch: u64,
        position: &Position,
        held: Vec<HeldHead>,
    ) {
        self.lose(&source);
        let mark = Mark {
            epoch,
            seq: position.last_seq,
            id: position.last_id,
            next_offset: position.next_offset,
        };
        let mut keys = HashMap::new();
        for head in held {
            if broken(Mutant::ClaimWithoutHeld) {
                break;
            }
            if head.state != HeldState::Dead {
                self.due.insert((head.next_at, source.clone(), head.key.clone()));
            }
            keys.insert(head.key, HeldKey { state: head.state, next_at: head.next_at, holds: 0 });
        }
        let state = LaneState {
            epoch,
            committed: mark.clone(),
            sealed: mark.clone(),
            accepted: mark,
            start_anywhere: position.last_seq == 0 && position.start == StartAt::Retained,
            gap: None,
            held: keys,
            flow: Flow::Live,
            taken_to: position.next_offset,
        };
        self.lanes.insert(source, state);
    }

    /// Forgets a lane. Nothing of it may be appended any more.
    pub(crate) fn lose(&mut self, source: &SourceLane) {
        if self.lanes.remove(source).is_some() {
            self.due.retain(|(_, lane, _)| lane != source);
        }
    }

    /// Whether a lane is still held under the epoch under which something of it was taken.
    pub(crate) fn owns_under(&self, source: &SourceLane, epoch: u64) -> bool {
        self.lanes.get(source).is_some_and(|lane| lane.epoch == epoch)
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Judges the next record of a lane, and takes it when it is the next (P3).
    pub(crate) fn offer(
        &mut self,
        source: &SourceLane,
        seq: LaneSeq,
        id: Option<EventId>,
        offset: i64,
    ) -> Verdict {
        let Some(lane) = self.lanes.get_mut(source).filter(|lane| lane.flow == Flow::Live) else {
            return Verdict::Ignore;
        };
        let last = lane.accepted.seq;
        if seq == last
            && let (Some(ours), Some(id)) = (lane.accepted.id, id)
            && ours != id
            && !broken(Mutant::ConsumerIdUnchecked)
        {
            lane.flow = Flow::Stopped;
            return Verdict::OtherLog { seq, ours };
        }
        let is_old = match broken(Mutant::OffsetForNumber) {
            true => offset < lane.accepted.next_offset,
            false => seq <= last && !broken(Mutant::DuplicateApplied),
        };
        if is_old {
            lane.accepted.next_offset = lane.accepted.next_offset.max(offset + 1);
            return Verdict::Duplicate;
        }
        if lane.start_anywhere {
            lane.start_anywhere = false;
            if seq > 1 {
                lane.gap = Some(Gap { source: source.clone(), from: 1, to: seq - 1 });
            }
        } else if seq > last + 1 && !broken(Mutant::GapSteppedOver) {
            lane.flow = Flow::Seeking;
            return Verdict::Gap { expected: last + 1 };
        }
        lane.accepted = Mark { epoch: lane.epoch, seq, id, next_offset: offset + 1 };
        Verdict::Apply
    }

    /// Judges a record of a foreign producer: it has no number (P4). True when it is to be taken; whether
    /// it was taken before is then for the inbox to say.
    ///
    /// What is older than the inbox remembers is judged by its offset alone: below the one at which the
    /// lane was left it was taken.
    pub(crate) fn offer_foreign(
        &mut self,
        source: &SourceLane,
        offset: i64,
        is_forgotten: bool,
    ) -> bool {
        let Some(lane) = self.lanes.get_mut(source).filter(|lane| lane.flow == Flow::Live) else {
            return false;
        };
        let is_forgotten = is_forgotten || broken(Mutant::InboxByOffset);
        let was_taken = is_forgotten && offset < lane.taken_to;
        lane.taken_to = lane.taken_to.max(offset + 1);
        let next = &mut lane.accepted.next_offset;
        // Without numbers the lane goes on at its offset, also when the log was made again and that is a
        // lower one. With numbers it goes on at the last of them, and reads this one again.
        *next = if lane.accepted.seq == 0 { offset + 1 } else { (*next).max(offset + 1) };
        !was_taken
    }

    /// Steps over a record that carries no number of ours.
    pub(crate) fn pass(&mut self, source: &SourceLane, offset: i64) -> bool {
        match self.lanes.get_mut(source).filter(|lane| lane.flow == Flow::Live) {
            Some(lane) if offset >= lane.accepted.next_offset => {
                lane.accepted.next_offset = offset + 1;
                true
            }
            _ => false,
        }
    }

    /// The gap was found in the log, or the intake has sought anew: go on.
    pub(crate) fn resume(&mut self, source: &SourceLane) {
        if let Some(lane) = self.lanes.get_mut(source).filter(|lane| lane.flow == Flow::Seeking) {
            lane.flow = Flow::Live;
        }
    }

    /// The gap is a loss: never stepped over but by a person (P3).
    pub(crate) fn stop(&mut self, source: &SourceLane) {
        if let Some(lane) = self.lanes.get_mut(source) {
            lane.flow = Flow::Stopped;
        }
    }

    pub(crate) fn accepted(&self, source: &SourceLane) -> Option<Mark> {
        self.lanes.get(source).map(|lane| lane.accepted.clone())
    }

    /// Whether a lane holds as many keys as it may: it takes no more messages until some are free.
    pub(crate) fn full(&self, source: &SourceLane, held_keys_max: usize) -> bool {
        self.lanes.get(source).is_some_and(|lane| lane.held.len() >= held_keys_max)
    }

    /// The compare-and-set that brings a lane to `mark`, from where the last append left it.
    pub(crate) fn seal(
        &mut self,
        source: &SourceLane,
        mark: Mark,
    ) -> Option<(PositionMove, Option<Gap>)> {
        let lane = self.lanes.get_mut(source)?;
        let step = PositionMove {
            source: source.clone(),
            epoch: lane.epoch,
            from: lane.sealed.seq,
            to: mark.seq,
            last_id: mark.id,
            next_offset: mark.next_offset,
        };
        lane.sealed = mark;
        Some((step, lane.gap.clone()))
    }

    /// A compare-and-set that moves nothing: guards a held message of the lane by its owner's epoch.
    pub(crate) fn guard(&self, source: &SourceLane) -> Option<Mark> {
        self.lanes.get(source).map(|lane| lane.sealed.clone())
    }

    /// What was sealed is durable.
    pub(crate) fn committed(&mut self, moved: &[PositionMove]) {
        for step in moved {
            if let Some(lane) =
                self.lanes.get_mut(&step.source).filter(|lane| lane.epoch == step.epoch)
            {
                lane.committed = lane.sealed.clone();
                lane.gap = None;
            }
        }
    }

    /// What was sealed did not become durable.
    pub(crate) fn rolled_back(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.sealed = lane.committed.clone();
        }
    }

    pub(crate) fn held(&self, source: &SourceLane, key: &str) -> Option<&HeldKey> {
        self.lanes.get(source)?.held.get(key)
    }

    /// How many keys are held, by the state of their first message.
    pub(crate) fn held_keys(&self) -> HeldKeys {
        let mut keys = HeldKeys::default();
        for held in self.lanes.values().flat_map(|lane| lane.held.values()) {
            match held.state {
                HeldState::Parked => keys.parked += 1,
                HeldState::Waiting => keys.waiting += 1,
                HeldState::Dead => keys.dead += 1,
                // It holds no key back.
                HeldState::Aside => {}
            }
        }
        keys
    }

    /// Stores what an append has made of a key.
    pub(crate) fn set_held(&mut self, source: &SourceLane, key: &Arc<str>, held: Option<HeldKey>) {
        let Some(lane) = self.lanes.get_mut(source) else { return };
        if let Some(old) = lane.held.remove(key) {
            self.due.remove(&(old.next_at, source.clone(), key.clone()));
        }
        if let Some(held) = held {
            if held.state != HeldState::Dead {
                self.due.insert((held.next_at, source.clone(), key.clone()));
            }
            lane.held.insert(key.clone(), held);
        }
    }

    /// Takes the keys whose next try is due, at most `limit`; each comes once until its retry ends.
    pub(crate) fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<(SourceLane, Arc<str>)> {
        let mut taken = vec![];
        while taken.len() < limit && self.due.first().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, source, key)) = self.due.pop_first() {
                taken.push((source, key));
            }
        }
        taken
    }

    /// Whether a key waits for a person.
    pub(crate) fn any_dead(&self) -> bool {
        let mut held = self.lanes.values().flat_map(|lane| lane.held.values());
        held.any(|key| key.state == HeldState::Dead)
    }

    /// When the next try is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// A retry could not be loaded: put it back.
    pub(crate) fn due_again(&mut self, source: SourceLane, key: Arc<str>, at: Timestamp) {
        if self.held(&source, &key).is_some() {
            self.due.insert((at, source, key));
        }
    }
}
