//! A finished handler's part enters the overlay, if what it read is still current (P1, P10).

use std::{borrow::Cow, sync::Arc};

use super::{
    Decider, Entry,
    open::Subject,
    work::{Via, Work},
};
use crate::{
    aggregate::Draft,
    barrier::{self, Participation},
    engine::client::Receipt,
    error::HandlerError,
    id::{EventId, SagaId, StreamId},
    log::partition::lane_of,
    mutant::{Mutant, broken},
    runtime::Timestamp,
    service::Service,
    store::{NewEvent, Route},
    telemetry::{Decided, Pending, Tracer},
    turn::{AgendaDraft, InTurn, TurnCell},
};

/// What the events of one turn have in common.
pub(super) struct Stamp {
    pub(super) saga: SagaId,
    pub(super) causation: String,
    pub(super) time: Timestamp,
    /// What the events carry on. `None` when nothing that was traced has led here.
    pub(super) trace: Option<Arc<str>>,
}

/// What a turn has read and decided.
pub(super) struct Part {
    pub(super) streams: Vec<InTurn>,
    pub(super) drafts: Vec<Draft>,
    pub(super) agenda: Vec<AgendaDraft>,
}

impl<S: Service> Decider<S> {
    /// Takes in what a task decided. False when what it read is no longer current: it runs again.
    pub(super) fn finish(
        &mut self,
        index: usize,
        cell: &TurnCell,
        result: Result<(), HandlerError>,
    ) -> bool {
        let (part, fault, now) = {
            let mut turn = cell.lock();
            let streams = std::mem::take(&mut turn.streams);
            let drafts = std::mem::take(&mut turn.drafts);
            let agenda = std::mem::take(&mut turn.agenda);
            (Part { streams, drafts, agenda }, turn.fault.take(), turn.context.now)
        };
        if !self.is_current(&part.streams) && !broken(Mutant::StaleRead) {
            return false;
        }
        let result = fault.map_or(result, Err);
        match &self.open.tasks[index].subject {
            Subject::Message { message, via, .. } => {
                let (message, via) = (message.clone(), *via);
                let hop = self.status.tracer.message(&message, via.attempts());
                let result = match result {
                    Ok(()) => {
                        let stamp = Stamp {
                            saga: message.saga,
                            causation: message.causation(),
                            time: now,
                            trace: Some(hop.carried.clone()),
                        };
                        self.contribute(part, &stamp)
                    }
                    Err(error) => {
                        self.note_reads_of_failure(&part.streams);
                        Err(error)
                    }
                };
                match &result {
                    Ok(()) => self.message_applied(&message, via),
                    Err(error) => self.fail_message(&message, via, error),
                }
                self.tell(|tracer, end| {
                    tracer.processed(hop, &message, (now, end), result.as_ref().err())
                });
            }
            Subject::Command { work } => {
                let work = *work;
                self.finish_command(work, part, result, now, cell);
            }
            Subject::Agenda { work } => {
                let work = *work;
                self.finish_agenda(work, part, result, now);
            }
            Subject::Unreadable { .. }
            | Subject::Stuck { .. }
            | Subject::Ruled { .. }
            | Subject::RetryEnd { .. } => {}
        }
        true
    }

    /// Keeps a span until the batch is committed.
    pub(super) fn tell(&mut self, span: impl FnOnce(&Tracer, Timestamp) -> Option<Pending>) {
        let tracer = &self.status.tracer;
        if tracer.is_on() {
            self.open.spans.extend(span(tracer, self.runtime.clock.now()));
        }
    }

    fn is_current(&mut self, streams: &[InTurn]) -> bool {
        streams.iter().all(|s| self.entry(&s.stream).is_some_and(|entry| entry.version == s.read))
    }

    fn message_applied(&mut self, message: &crate::log::record::Message, via: Via) {
        self.open.outcomes.applied += 1;
        if let Via::Held { attempts, .. } = via {
            self.release(message, attempts);
        }
    }

    fn finish_command(
        &mut self,
        work: usize,
        part: Part,
        result: Result<(), HandlerError>,
        now: Timestamp,
        cell: &TurnCell,
    ) {
        let Work::Command(job) = &self.open.works[work] else { return };
        let (stream, cause, command) = (job.stream().clone(), job.cause(), job.name());
        let request = job.request().cloned();
        if let Err(error) = result {
            self.note_reads_of_failure(&part.streams);
            self.open.failed_jobs.insert(work, error);
            return;
        }
        let Part { streams, drafts, .. } = &part;
        // Later commands on a stream belong to the saga that its first event belongs to.
        let own = streams.iter().find(|s| s.stream == stream);
        let fresh = cell.lock().context.saga;
        let first = own.and_then(|s| s.first_saga);
        let saga = first.filter(|_| !broken(Mutant::SagaNotInherited)).unwrap_or(fresh);
        let read = own.map_or(0, |s| s.read);
        let version = read + drafts.iter().filter(|d| d.stream == stream).count() as u64;
        let causation =
            cause.map_or_else(|| format!("command:{}", self.runtime.new_uuid()), |c| c.to_string());
        let hop = self.status.tracer.command(request.as_ref(), fresh, saga);
        let stamp = Stamp { saga, causation, time: now, trace: Some(hop.carried.clone()) };
        let result = self.contribute(part, &stamp);
        let decided = Decided { command, stream: &stream, saga };
        self.tell(|tracer, end| tracer.decided(hop, &decided, (now, end), result.as_ref().err()));
        match result {
            Ok(()) => {
                self.open.receipts.insert(work, Receipt { saga, version });
            }
            Err(error) => {
                self.open.failed_jobs.insert(work, error);
            }
        }
    }

    /// Puts a turn's reads, events, new states, deadlines and effects into the batch.
    pub(super) fn contribute(&mut self, part: Part, stamp: &Stamp) -> Result<(), HandlerError> {
        let Part { streams, drafts, agenda } = part;
        self.note_reads(&streams);
        let mut entries = self.changed(&streams, &drafts, stamp)?;
        for draft in drafts {
            let Some((_, entry)) = entries.iter_mut().find(|(stream, _)| *stream == draft.stream)
            else {
                continue;
            };
            entry.version += 1;
            entry.since_snapshot = entry.since_snapshot.saturating_add(1);
            entry.first_saga.get_or_insert(stamp.saga);
            let event = self.event(draft, entry.version, stamp);
            self.open.bytes += event.payload.len();
            self.open.events.push(event);
        }
        self.open.layer.extend(entries);
        self.plan(agenda, stamp);
        Ok(())
    }

    pub(super) fn note_reads_of_failure(&mut self, streams: &[InTurn]) {
        if !broken(Mutant::RefusalUnchecked) {
            self.note_reads(streams);
        }
    }

    /// The append checks what was read, whatever came of it (P10): what another instance has written since
    /// may be why a handler failed.
    pub(super) fn note_reads(&mut self, streams: &[InTurn]) {
        for s in streams {
            // The first read of the batch is of what the batch builds on.
            if !self.open.layer.contains_key(&s.stream) {
                self.open.reads.entry(s.stream.clone()).or_insert(s.read);
            }
        }
    }

    /// The streams that the turn wrote, with their new states and their old versions.
    fn changed(
        &mut self,
        streams: &[InTurn],
        drafts: &[Draft],
        stamp: &Stamp,
    ) -> Result<Vec<(StreamId, Entry)>, HandlerError> {
        let mut entries = vec![];
        for s in streams.iter().filter(|s| drafts.iter().any(|d| d.stream == s.stream)) {
            let since_snapshot = self.entry(&s.stream).map_or(0, |entry| entry.since_snapshot);
            let state = match s.state.downcast_ref::<Participation>() {
                Some(before) => Arc::new(participation_after(before, &s.stream, drafts, stamp)?),
                None => s.state.clone(),
            };
            let entry = Entry {
                kind: s.kind,
                version: s.read,
                first_saga: s.first_saga,
                state,
                since_snapshot,
            };
            entries.push((s.stream.clone(), entry));
        }
        Ok(entries)
    }

    fn event(&self, draft: Draft, version: u64, stamp: &Stamp) -> NewEvent {
        let id = self.runtime.new_event_id();
        let route =
            draft.key.map(|key| Route { lane: lane_of(key.as_bytes(), self.output_lanes), key });
        NewEvent {
            id,
            stream: draft.stream,
            version,
            event_type: Cow::Borrowed(draft.event_type),
            payload: draft.payload,
            saga: stamp.saga,
            causation: stamp.causation.clone(),
            time: stamp.time,
            trace: Some(carried(stamp, id)),
            route,
        }
    }
}

fn participation_after(
    before: &Participation,
    stream: &StreamId,
    drafts: &[Draft],
    stamp: &Stamp,
) -> Result<Participation, HandlerError> {
    let mut after = before.clone();
    for draft in drafts.iter().filter(|d| d.stream == *stream) {
        after.fold(stamp.saga, draft.event_type, &draft.payload, stamp.time).map_err(|e| {
            HandlerError::bug(format!(
                "{} does not fold into {}: {e}",
                draft.event_type,
                barrier::PARTICIPATION
            ))
        })?;
    }
    Ok(after)
}

/// The creation context of what a turn makes: that of what caused it, or one named after its saga. So a saga is
/// one trace also where nobody traces.
pub(super) fn carried(stamp: &Stamp, id: EventId) -> Arc<str> {
    stamp.trace.clone().unwrap_or_else(|| Tracer::unprompted(stamp.saga, id))
}
