//! The append: all checks first, in the order of their precedence, then all writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::state::{CauseRow, State};
use crate::{
    id::{CauseId, Lane, LaneSeq, SourceLane},
    mutant::{Mutant, broken},
    store::{
        Append, AppendError, Appended, HeldChange, HeldMessage, NewEvent, NewSnapshot,
        PositionMove, Published, RecordedEvent, reason::kept,
    },
};

impl State {
    pub(super) fn append(&mut self, append: &Append) -> Result<Appended, AppendError> {
        let lanes = self.identity.as_ref().map_or(0, |own| own.lanes);
        if let Some(flaw) = append.flaw(lanes) {
            return Err(AppendError::Rejected(flaw.into()));
        }
        self.check_causes(append)?;
        self.check_positions(append)?;
        self.check_inbox(append)?;
        let held = self.held_after(append)?;
        self.check_agenda(append)?;
        self.check_reads(append)?;
        Ok(self.write(append, held))
    }

    fn check_causes(&self, append: &Append) -> Result<(), AppendError> {
        let mut answered = BTreeSet::new();
        let used = |cause: &CauseId| self.causes.contains_key(cause);
        let mut causes: BTreeSet<CauseId> = append.cause.iter().copied().filter(used).collect();
        for answer in &append.answers {
            if used(&answer.cause) || !answered.insert(answer.cause) {
                causes.insert(answer.cause);
            }
        }
        if causes.is_empty() {
            return Ok(());
        }
        Err(AppendError::AlreadyDone { causes: causes.into_iter().collect() })
    }

    fn check_positions(&self, append: &Append) -> Result<(), AppendError> {
        let lost = |moved: &&PositionMove| match self.positions.get(&moved.source) {
            Some(row) => row.epoch != moved.epoch || row.position.last_seq != moved.from,
            None => true,
        };
        let lanes: Vec<SourceLane> =
            append.positions.iter().filter(lost).map(|moved| moved.source.clone()).collect();
        let fits = lanes.is_empty() || broken(Mutant::PositionUnchecked);
        if fits { Ok(()) } else { Err(AppendError::PositionLost { lanes }) }
    }

    fn check_inbox(&self, append: &Append) -> Result<(), AppendError> {
        let seen = append.inbox.iter().filter(|entry| self.inbox.contains_key(entry));
        let entries: Vec<_> = seen.cloned().collect();
        if entries.is_empty() { Ok(()) } else { Err(AppendError::SeenBefore { entries }) }
    }

    fn check_reads(&self, append: &Append) -> Result<(), AppendError> {
        let moved = append.reads.iter().filter(|(stream, version)| self.head(stream) != *version);
        let streams: Vec<_> = moved.map(|(stream, _)| stream.clone()).collect();
        if streams.is_empty() { Ok(()) } else { Err(AppendError::Conflict { streams }) }
    }

    fn write(&mut self, append: &Append, held: HeldOverlay) -> Appended {
        let ends: Vec<_> =
            self.lanes.iter().map(|lane| lane.last().map(|event| event.id)).collect();
        let mut first_in_lane = BTreeMap::new();
        for event in &append.events {
            if let Some((lane, seq)) = self.write_event(event) {
                first_in_lane.entry(lane).or_insert(seq);
            }
        }
        let end = |lane: &Lane| Some((*lane, ends.get(lane.0 as usize).copied()??));
        let follows = first_in_lane.keys().filter_map(end).collect();
        let appended = Appended { first_in_lane: first_in_lane.into_iter().collect(), follows };
        append.positions.iter().for_each(|moved| self.move_position(moved));
        append.snapshots.iter().for_each(|snapshot| self.write_snapshot(snapshot));
        self.gaps.extend(append.gaps.iter().map(|gap| (gap.source.clone(), gap.from, gap.to)));
        self.write_causes(append, &appended);
        self.inbox.extend(append.inbox.iter().map(|entry| (entry.clone(), append.at)));
        self.write_agenda(append);
        for (id, message) in held {
            match message {
                Some(message) => self.held.insert(id, message),
                None => self.held.remove(&id),
            };
        }
        appended
    }

    fn write_event(&mut self, event: &NewEvent) -> Option<(Lane, LaneSeq)> {
        let published = event.route.as_ref().map(|route| Published {
            lane: route.lane,
            lane_seq: match broken(Mutant::LaneCounterShared) {
                true => self.lanes.iter().map(Vec::len).sum::<usize>() as LaneSeq + 1,
                false => self.lanes[route.lane.0 as usize].len() as LaneSeq + 1,
            },
            key: route.key.clone(),
        });
        let place = published.as_ref().map(|p| (p.lane, p.lane_seq));
        let recorded = Arc::new(RecordedEvent {
            id: event.id,
            stream: event.stream.clone(),
            version: event.version,
            event_type: event.event_type.clone(),
            payload: event.payload.clone(),
            saga: event.saga,
            causation: event.causation.clone(),
            time: event.time,
            trace: event.trace.clone(),
            published,
        });
        if let Some((lane, _)) = place {
            self.lanes[lane.0 as usize].push(recorded.clone());
        }
        self.streams.entry(event.stream.clone()).or_default().push(recorded);
        place
    }

    fn move_position(&mut self, moved: &PositionMove) {
        if let Some(row) = self.positions.get_mut(&moved.source) {
            row.position.last_seq = moved.to;
            row.position.next_offset = moved.next_offset;
            if moved.to != moved.from {
                row.position.last_id = moved.last_id;
            }
        }
    }

    fn write_snapshot(&mut self, new: &NewSnapshot) {
        let at = (new.stream.clone(), new.snapshot_version);
        if self.snapshots.get(&at).is_none_or(|(version, _)| *version <= new.version) {
            self.snapshots.insert(at, (new.version, new.state.clone()));
        }
    }

    fn write_causes(&mut self, append: &Append, appended: &Appended) {
        let at = append.at;
        if let Some(cause) = append.cause {
            let outcome = Appended { follows: vec![], ..appended.clone() };
            let row = CauseRow { at, appended: Some(outcome), answer: None };
            self.causes.insert(cause, row);
        }
        for answer in &append.answers {
            let new = CauseRow { at, appended: None, answer: None };
            self.causes.entry(answer.cause).or_insert(new).answer = Some(answer.body.clone());
        }
    }

    /// The held messages that the append changes, as they are afterwards; `None` is gone.
    fn held_after(&self, append: &Append) -> Result<HeldOverlay, AppendError> {
        let mut overlay = HeldOverlay::new();
        let mut lanes = BTreeSet::new();
        for change in &append.held {
            if !self.change_held(&mut overlay, change) {
                lanes.insert(change.source().clone());
            }
        }
        if lanes.is_empty() {
            return Ok(overlay);
        }
        Err(AppendError::HeldChanged { lanes: lanes.into_iter().collect() })
    }

    /// Whether the message was as it was read.
    fn change_held(&self, overlay: &mut HeldOverlay, change: &HeldChange) -> bool {
        let id = match change {
            HeldChange::Hold(message) => &message.id,
            HeldChange::Release { id, .. } | HeldChange::Update { id, .. } => id,
        };
        let at = (change.source().clone(), id.clone());
        let now = overlay.get(&at).cloned().unwrap_or_else(|| self.held.get(&at).cloned());
        let after = match (change, now) {
            (HeldChange::Hold(message), None) => {
                let reason = kept(&message.reason).into_owned();
                Some(HeldMessage { reason, ..(**message).clone() })
            }
            (HeldChange::Hold(_), Some(held)) => Some(held),
            (HeldChange::Release { attempts, .. }, Some(held)) if held.attempts == *attempts => {
                None
            }
            (
                HeldChange::Update { attempts, new_attempts, state, next_at, reason, .. },
                Some(mut held),
            ) if held.attempts == *attempts => {
                held.attempts = *new_attempts;
                held.state = *state;
                held.next_at = *next_at;
                held.reason = kept(reason).into_owned();
                Some(held)
            }
            _ => return false,
        };
        overlay.insert(at, after);
        true
    }
}

type HeldOverlay = BTreeMap<(SourceLane, String), Option<HeldMessage>>;
