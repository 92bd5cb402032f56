//! From a decided batch to an append, and what its result means.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Decider,
    agenda::AgendaOverlay,
    job::{Job, JobFailure},
    open::{Entries, Line, Open, Outcomes},
    work::Work,
};
use crate::{
    engine::{
        client::{ClientError, Receipt},
        lanes::{HeldKey, Mark},
        relay::Offered,
        status::add,
    },
    error::{FailureKind, HandlerError},
    id::{CauseId, EventId, Lane, LaneSeq, SourceLane, StreamId},
    mutant::{Mutant, broken},
    runtime::Timestamp,
    service::Service,
    store::{
        Answer, Append, AppendError, Appended, InboxEntry, NewEvent, NewSnapshot, Published,
        RecordedEvent,
    },
    telemetry::Pending,
};

/// A batch that is being committed.
pub(crate) struct Sealed {
    pub(crate) append: Arc<Append>,
    works: Vec<Work>,
    pub(super) layer: Entries,
    base: Entries,
    pub(super) held: HashMap<(SourceLane, Arc<str>), Option<HeldKey>>,
    pub(super) agenda: AgendaOverlay,
    receipts: HashMap<usize, Receipt>,
    failed_jobs: HashMap<usize, HandlerError>,
    pub(super) causes: HashSet<CauseId>,
    twins: Vec<Box<dyn Job>>,
    outcomes: Outcomes,
    spans: Vec<Pending>,
    lines: Vec<Line>,
}

/// A batch that is durable, and of which nobody has heard yet.
#[must_use]
pub(crate) struct Committed(Sealed);

/// What a committed batch leaves to do.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Public events with their numbers, for the relay.
    pub(crate) fresh: Vec<Offered>,
    /// Where the lanes stand now, for lag tools.
    pub(crate) moved: Vec<(SourceLane, i64)>,
    /// The earliest time at which something new on the agenda is due.
    pub(crate) due: Option<Timestamp>,
}

/// What the intake is to do after a failed commit.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Decide again.
    Again,
    /// These lanes have another owner; the others are decided again.
    Lost(Vec<SourceLane>),
    /// What is held of these lanes has changed: claim them anew; the others are decided again.
    Stale(Vec<SourceLane>),
    /// Commit the same append once more, after a pause.
    Retry(String),
    /// Ask the store whether it was committed.
    Ask(String),
}

impl<S: Service> Decider<S> {
    /// Whether there is a decided batch to commit, and none is being committed.
    pub(crate) fn can_seal(&self) -> bool {
        self.sealed.is_none() && self.open.is_quiescent() && !self.open.is_empty()
    }

    /// How many works the open batch has.
    pub(crate) fn open_works(&self) -> usize {
        self.open.len()
    }

    /// Closes the open batch into an append.
    pub(crate) fn seal(&mut self) -> Option<Arc<Append>> {
        if !self.can_seal() {
            return None;
        }
        let mut open = std::mem::take(&mut self.open);
        let snapshots = self.snapshots(&mut open);
        let answers = answers(&open);
        let mut append = Append {
            cause: Some(self.runtime.new_cause_id()),
            at: self.runtime.clock.now(),
            reads: std::mem::take(&mut open.reads).into_iter().collect(),
            events: std::mem::take(&mut open.events),
            held: std::mem::take(&mut open.held_changes),
            agenda: open.agenda.changes(),
            answers,
            inbox: match broken(Mutant::InboxNotWritten) {
                true => vec![],
                false => std::mem::take(&mut open.inbox).into_iter().collect(),
            },
            snapshots,
            ..Append::default()
        };
        for source in &open.guarded {
            if !open.marks.contains_key(source)
                && let Some(mark) = self.lanes.guard(source)
            {
                open.marks.insert(source.clone(), mark);
            }
        }
        for (source, mark) in std::mem::take(&mut open.marks) {
            self.seal_lane(&mut append, &source, mark);
        }
        if broken(Mutant::ReadsUnchecked) {
            append.reads.retain(|(read, _)| append.events.iter().any(|e| e.stream == *read));
        }
        #[cfg(feature = "mutants")]
        super::early::answer(&mut open);
        let append = Arc::new(append);
        self.sealed = Some(Sealed {
            append: append.clone(),
            works: open.works,
            layer: open.layer,
            base: open.base,
            held: open.held,
            agenda: open.agenda,
            receipts: open.receipts,
            failed_jobs: open.failed_jobs,
            causes: open.causes,
            twins: open.twins,
            outcomes: open.outcomes,
            spans: open.spans,
            lines: open.lines,
        });
        Some(append)
    }

    fn seal_lane(&mut self, append: &mut Append, source: &SourceLane, mark: Mark) {
        if let Some((step, gap)) = self.lanes.seal(source, mark) {
            append.positions.push(step);
            append.gaps.extend(gap);
        }
    }

    fn snapshots(&self, open: &mut Open) -> Vec<NewSnapshot> {
        let mut due: Vec<_> = open
            .layer
            .iter_mut()
            .filter(|(_, entry)| entry.since_snapshot >= self.limits.snapshot_every_events)
            .collect();
        due.sort_by(|a, b| a.0.cmp(b.0));
        let mut snapshots = vec![];
        for (stream, entry) in due {
            let Some(state) = (entry.kind.save)(&entry.state) else { continue };
            entry.since_snapshot = 0;
            snapshots.push(NewSnapshot {
                stream: stream.clone(),
                version: entry.version,
                snapshot_version: entry.kind.snapshot_version,
                state: state.into(),
            });
        }
        snapshots
    }

    /// The append is durable. The next batch may be sealed now; nothing may be decided before
    /// [`settle`](Self::settle).
    pub(crate) fn committed(&mut self) -> Option<Committed> {
        let sealed = self.sealed.take()?;
        self.lanes.committed(&sealed.append.positions);
        Some(Committed(sealed))
    }

    /// What is durable is known from here on, and only now does anyone hear of it (P1, P15).
    pub(crate) fn settle(&mut self, Committed(sealed): Committed, appended: &Appended) -> Settled {
        let append = &sealed.append;
        let holds = !sealed.held.is_empty();
        for ((source, key), held) in sealed.held {
            self.lanes.set_held(&source, &key, held);
        }
        if holds {
            self.status.gauges.held(self.lanes.held_keys());
        }
        // What is evicted follows from what was decided: a simulation replays it.
        for (stream, entry) in sealed.base.into_iter().chain(sealed.layer) {
            self.cache.put(stream, entry);
        }
        self.count(append, &sealed.outcomes, sealed.receipts.len());
        self.status.tracer.committed(sealed.spans, append, &*self.runtime.clock);
        sealed.lines.into_iter().for_each(|line| line());
        for (index, work) in sealed.works.into_iter().enumerate() {
            let Work::Command(job) = work else { continue };
            if let Some(receipt) = sealed.receipts.get(&index) {
                job.succeed(*receipt);
            } else if let Some(error) = sealed.failed_jobs.get(&index) {
                job.fail(JobFailure::Client(client_error(error)));
            }
        }
        for twin in sealed.twins {
            twin.fail(JobFailure::AlreadyDone);
        }
        // A batch that the store refused is being bisected: grow back slowly.
        self.batch_works = (self.batch_works * 2).min(self.limits.batch_works_max);
        let moved = append.positions.iter().map(|p| (p.source.clone(), p.next_offset)).collect();
        let events = Arc::try_unwrap(sealed.append)
            .map_or_else(|shared| shared.events.clone(), |own| own.events);
        Settled { fresh: numbered(events, appended), moved, due: sealed.agenda.due() }
    }

    fn count(&self, append: &Append, outcomes: &Outcomes, answered: usize) {
        let counters = &self.status.counters;
        add(&counters.appends, 1);
        add(&counters.events_appended, append.events.len());
        self.status.gauges.append_events.observe(append.events.len() as u64);
        add(&counters.messages_applied, outcomes.applied);
        add(&counters.messages_skipped, outcomes.skipped);
        add(&counters.messages_duplicate, outcomes.duplicate);
        add(&counters.messages_parked, outcomes.parked);
        add(&counters.messages_dead, outcomes.dead);
        add(&counters.handler_bugs, outcomes.bugs);
        add(&counters.commands_answered, answered);
        add(&counters.deadlines_fired, outcomes.deadlines_fired);
        add(&counters.effects_concluded, outcomes.effects_concluded);
        add(&counters.effect_tries_failed, outcomes.effect_tries_failed);
    }

    /// The append was not committed. Everything that was decided on it is decided again.
    pub(crate) fn failed(&mut self, error: AppendError) -> Verdict {
        match error {
            AppendError::Conflict { streams } => {
                add(&self.status.counters.conflicts, 1);
                self.roll_back(&streams);
                Verdict::Again
            }
            AppendError::PositionLost { lanes } => {
                // One that was claimed anew since then is ours: only what was taken before is void.
                let lanes: Vec<SourceLane> =
                    lanes.into_iter().filter(|lane| self.owns_as_sealed(lane)).collect();
                self.roll_back(&[]);
                lanes.iter().for_each(|lane| self.drop_lane(lane));
                Verdict::Lost(lanes)
            }
            AppendError::SeenBefore { entries } => {
                self.roll_back(&[]);
                self.skip_seen(&entries);
                Verdict::Again
            }
            AppendError::HeldChanged { lanes } => {
                self.roll_back(&[]);
                lanes.iter().for_each(|lane| self.drop_lane(lane));
                Verdict::Stale(lanes)
            }
            AppendError::AgendaChanged { ids } => {
                self.roll_back(&[]);
                self.forget_agenda(&ids);
                Verdict::Again
            }
            AppendError::AlreadyDone { causes } => {
                if self
                    .sealed
                    .as_ref()
                    .is_some_and(|s| s.append.cause.is_some_and(|own| causes.contains(&own)))
                {
                    return Verdict::Ask("the batch itself was committed before".to_owned());
                }
                self.roll_back(&[]);
                self.answer_repeated(&causes);
                Verdict::Again
            }
            AppendError::Rejected(reason) => {
                self.bisect(&reason.to_string());
                Verdict::Again
            }
            AppendError::Unavailable(reason) => Verdict::Retry(reason.to_string()),
            AppendError::Unknown(_) if broken(Mutant::UnknownDecidedAgain) => {
                self.roll_back(&[]);
                Verdict::Again
            }
            AppendError::Unknown(reason) => Verdict::Ask(reason.to_string()),
        }
    }

    /// Whether a lane is still held under the epoch of the append that is being committed.
    fn owns_as_sealed(&self, lane: &SourceLane) -> bool {
        let mut moved = self.sealed.iter().flat_map(|sealed| &sealed.append.positions);
        moved.any(|p| p.source == *lane && self.lanes.owns_under(lane, p.epoch))
    }

    /// Takes both batches apart, back into works, in their order of arrival.
    fn roll_back(&mut self, conflicting: &[StreamId]) {
        let sealed = self.sealed.take();
        let open = std::mem::take(&mut self.open);
        let (sealed_works, sealed_twins) = sealed.map_or((vec![], vec![]), |s| (s.works, s.twins));
        let twins = sealed_twins.into_iter().chain(open.twins).map(Work::Command);
        let works: Vec<Work> = sealed_works.into_iter().chain(open.works).chain(twins).collect();
        self.requeue(works);
        self.lanes.rolled_back();
        if broken(Mutant::StaleCache) {
            return;
        }
        for stream in conflicting {
            self.cache.pop(stream);
        }
        if conflicting.is_empty() {
            self.cache.clear();
        }
    }

    /// The append was not committed: both batches are decided again, with a new time.
    pub(crate) fn decide_again(&mut self) {
        self.roll_back(&[]);
    }

    /// Nobody can say any more whether the append was committed (P17). Its commands are told so; its lanes
    /// are given up, and returned: their positions tell when they are claimed anew.
    pub(crate) fn give_up(&mut self) -> Vec<SourceLane> {
        let Some(sealed) = &mut self.sealed else { return vec![] };
        let lanes: Vec<SourceLane> =
            sealed.append.positions.iter().map(|moved| moved.source.clone()).collect();
        let why = "the store did not say for too long whether the command was committed";
        for work in std::mem::take(&mut sealed.works) {
            match work {
                Work::Command(job) => {
                    job.fail(JobFailure::Client(ClientError::Unavailable(why.into())));
                }
                work => sealed.works.push(work),
            }
        }
        self.roll_back(&[]);
        lanes.iter().for_each(|lane| self.drop_lane(lane));
        lanes
    }

    /// Puts works back where they came from. Those of a lane that is no longer ours are void.
    fn requeue(&mut self, works: Vec<Work>) {
        for work in works.into_iter().rev() {
            if work.source().is_none_or(|source| self.lanes.owns_under(source, work.epoch())) {
                self.pending.push_front(work);
            }
        }
    }

    /// Nothing of this lane may be appended by us any more (P2).
    pub(crate) fn drop_lane(&mut self, lane: &SourceLane) {
        self.lanes.lose(lane);
        self.pending.remove(|work| work.source() == Some(lane));
        if self.open.works.iter().any(|work| work.source() == Some(lane)) {
            self.reopen();
        }
    }

    /// Decides the open batch again; the one that is being committed stays.
    fn reopen(&mut self) {
        let open = std::mem::take(&mut self.open);
        let works = open.works.into_iter().chain(open.twins.into_iter().map(Work::Command));
        self.requeue(works.collect());
    }

    /// P4: what the inbox has is stepped over; it stays there for as long as anything here lives.
    fn skip_seen(&mut self, entries: &[InboxEntry]) {
        let entries: HashSet<&InboxEntry> = entries.iter().collect();
        for work in self.pending.iter_mut() {
            if work.foreign().is_some_and(|entry| entries.contains(entry))
                && let (Some(source), Some(mark)) = (work.source(), work.mark())
            {
                let (source, mark) = (source.clone(), mark.clone());
                *work = Work::Skip { source, mark, repeated: true };
            }
        }
    }

    fn answer_repeated(&mut self, causes: &[CauseId]) {
        let repeats = |work: &Work| matches!(work, Work::Command(job) if job.cause().is_some_and(|cause| causes.contains(&cause)));
        for work in self.pending.remove(repeats) {
            if let Work::Command(job) = work {
                job.fail(JobFailure::AlreadyDone);
            }
        }
    }

    /// The store refuses some of this data: halve the batch until the culprit stands alone (P12).
    fn bisect(&mut self, reason: &str) {
        let works = self.sealed.as_ref().map_or(0, |s| s.works.len());
        self.roll_back(&[]);
        if works > 1 && !broken(Mutant::NotBisected) {
            self.batch_works = works / 2;
            return;
        }
        if broken(Mutant::CulpritDropped) {
            self.pending.pop_front();
            return;
        }
        self.batch_works = 1;
        let reason = format!("the store refuses what was decided: {reason}");
        match self.pending.front_mut() {
            Some(Work::Message(fresh)) => fresh.poison = Some(reason),
            Some(Work::Retry(group)) if group.messages.len() > 1 => {
                group.messages.truncate(1);
                group.complete = false;
            }
            Some(Work::Retry(group)) => group.poison = Some(reason),
            Some(Work::Agenda(work)) if work.poison.is_none() => work.poison = Some(reason),
            // Not even its failure can be stored. Its claim ends by itself, and it comes again.
            Some(Work::Agenda(work)) => {
                tracing::error!(name = %work.item.name, key = %work.item.key, %reason, "an item of the agenda cannot be stored as dead");
                self.pending.pop_front();
            }
            Some(Work::Command(_)) => {
                if let Some(Work::Command(job)) = self.pending.pop_front() {
                    job.fail(JobFailure::Client(ClientError::Rejected(reason)));
                }
            }
            // A record's own bytes are refused: step over it, and say so. There is nothing else to store.
            Some(Work::Unreadable { held, mark, .. }) => {
                tracing::error!(lane = %held.source, offset = held.offset, %reason, "a record cannot even be stored as dead");
                let (source, mark) = (held.source.clone(), mark.clone());
                let skip = Work::Skip { source, mark, repeated: false };
                self.pending.pop_front();
                self.pending.push_front(skip);
            }
            Some(Work::Skip { .. } | Work::Ruled { .. }) | None => {}
        }
    }

    /// Shutting down, or halted: whoever still waits is told.
    pub(crate) fn abandon(&mut self, why: &ClientError) {
        self.roll_back(&[]);
        for work in self.pending.drain() {
            if let Work::Command(job) = work {
                job.fail(JobFailure::Client(why.clone()));
            }
        }
    }
}

fn answers(open: &Open) -> Vec<Answer> {
    let mut answers = vec![];
    if broken(Mutant::AnswerNotStored) {
        return answers;
    }
    for (index, work) in open.works.iter().enumerate() {
        let Work::Command(job) = work else { continue };
        if let (Some(cause), Some(receipt)) = (job.cause(), open.receipts.get(&index))
            && let Some(body) = job.answer(*receipt)
        {
            answers.push(Answer { cause, body });
        }
    }
    answers
}

fn client_error(error: &HandlerError) -> ClientError {
    match error.kind() {
        FailureKind::Retryable => ClientError::Unavailable(error.chain()),
        FailureKind::Terminal | FailureKind::Bug => ClientError::Rejected(error.chain()),
    }
}

/// The public events of an append, with the numbers that the store gave them.
fn numbered(events: Vec<NewEvent>, appended: &Appended) -> Vec<Offered> {
    let mut next: HashMap<Lane, LaneSeq> = appended.first_in_lane.iter().copied().collect();
    let mut last: HashMap<Lane, EventId> = appended.follows.iter().copied().collect();
    let mut numbered = vec![];
    for event in events {
        let Some(route) = event.route else { continue };
        let Some(seq) = next.get_mut(&route.lane) else { continue };
        let published = Published { lane: route.lane, lane_seq: *seq, key: route.key };
        *seq += 1;
        let follows = last.insert(route.lane, event.id);
        let event = RecordedEvent {
            id: event.id,
            stream: event.stream,
            version: event.version,
            event_type: event.event_type,
            payload: event.payload,
            saga: event.saga,
            causation: event.causation,
            time: event.time,
            trace: event.trace,
            published: Some(published),
        };
        numbered.push(Offered { event, follows });
    }
    numbered
}
