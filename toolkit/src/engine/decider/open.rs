//! The batch that is being decided: tasks, the overlay of what they decided, and what they wait for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;

use super::{
    agenda::AgendaOverlay,
    job::Job,
    work::{Fresh, RetryGroup, Via, Work},
};
use crate::{
    aggregate::{AggregateType, AnyState},
    engine::{
        client::Receipt,
        lanes::{HeldKey, Mark},
    },
    error::HandlerError,
    handler::Run,
    id::{CauseId, SagaId, SourceLane, StreamId, Version},
    log::record::{Message, decode_held},
    store::{HeldChange, HeldMessage, InboxEntry, NewEvent},
    telemetry::Pending,
    turn::{TurnCell, Want},
};

/// A stream as the decider knows it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) kind: AggregateType,
    pub(crate) version: Version,
    pub(crate) first_saga: Option<SagaId>,
    pub(crate) state: AnyState,
    /// Events since the last snapshot.
    pub(crate) since_snapshot: u32,
}

/// Streams by their names, in the order in which they came.
pub(crate) type Entries = IndexMap<StreamId, Entry, foldhash::fast::RandomState>;
/// A map whose order nothing hangs on.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What a task works on. The work itself stays in [`Open::works`], for deciding again.
pub(crate) enum Subject {
    Message {
        message: Arc<Message>,
        via: Via,
        poison: Option<String>,
    },
    Command {
        work: usize,
    },
    Agenda {
        work: usize,
    },
    Unreadable {
        work: usize,
    },
    /// A held message that cannot be read (any more): dead, in its place.
    Stuck {
        held: Box<HeldMessage>,
        reason: String,
    },
    /// A dead message of this key is to be tried again.
    Ruled {
        source: SourceLane,
        key: Arc<str>,
    },
    /// Comes after the tasks of a retry: decides whether the key is free.
    RetryEnd {
        source: SourceLane,
        key: Arc<str>,
        complete: bool,
        holds: u64,
    },
}

pub(crate) enum TaskState {
    /// Not started, or to be started again.
    Ready,
    /// The handler runs.
    Running {
        run: Run,
        cell: TurnCell,
    },
    /// The handler has finished; the streams it recorded to must be there before it counts.
    Settling {
        cell: TurnCell,
        result: Result<(), HandlerError>,
    },
    Finished,
}

pub(crate) struct Task {
    pub(crate) subject: Subject,
    pub(crate) state: TaskState,
    /// The task of the same key that comes after it.
    pub(crate) next: Option<usize>,
    pub(crate) span: tracing::Span,
}

/// One batch, open.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) works: Vec<Work>,
    /// Payloads that came in with the works, and of the events that they made.
    pub(crate) bytes: usize,
    pub(crate) tasks: Vec<Task>,
    pub(crate) unfinished: usize,
    /// In index order: the order of deciding is the order of arrival.
    pub(crate) ready: BTreeSet<usize>,
    /// Which tasks wait for a stream.
    pub(crate) blocked: Map<StreamId, Vec<usize>>,
    pub(crate) to_load: Vec<Want>,
    last_of_key: Map<Arc<str>, usize>,

    /// What the finished tasks have made of the streams they changed (P1).
    pub(crate) layer: Entries,
    /// What was loaded for this batch and not changed.
    pub(crate) base: Entries,
    /// The durable head of every stream that was read (P10).
    pub(crate) reads: BTreeMap<StreamId, Version>,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) agenda: AgendaOverlay,
    pub(crate) held_changes: Vec<HeldChange>,
    pub(crate) held: HashMap<(SourceLane, Arc<str>), Option<HeldKey>>,
    /// Keys whose retry failed in this batch: what follows them stays where it is.
    pub(crate) retry_failed: HashSet<(SourceLane, Arc<str>)>,
    pub(crate) marks: BTreeMap<SourceLane, Mark>,
    /// Lanes whose held messages change: they need a guard also when they do not move.
    pub(crate) guarded: BTreeSet<SourceLane>,
    pub(crate) receipts: HashMap<usize, Receipt>,
    pub(crate) failed_jobs: HashMap<usize, HandlerError>,
    pub(crate) causes: HashSet<CauseId>,
    /// Events of foreign producers that this batch takes (P4).
    pub(crate) inbox: BTreeSet<InboxEntry>,
    /// Commands whose id is being decided already.
    pub(crate) twins: Vec<Box<dyn Job>>,
    pub(crate) outcomes: Outcomes,
    /// What is told of the batch once it is committed.
    pub(crate) spans: Vec<Pending>,
    /// Lines for the log of this process, told then too: a failure that is decided again was none (P15).
    pub(crate) lines: Vec<Line>,
}

/// Writes its line.
pub(crate) type Line = Box<dyn FnOnce() + Send>;

/// What became of the messages of a batch, for the counters.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcomes {
    pub(crate) applied: usize,
    pub(crate) skipped: usize,
    pub(crate) duplicate: usize,
    pub(crate) parked: usize,
    pub(crate) dead: usize,
    pub(crate) bugs: usize,
    pub(crate) deadlines_fired: usize,
    pub(crate) effects_concluded: usize,
    pub(crate) effect_tries_failed: usize,
}

impl Open {
    pub(crate) fn is_empty(&self) -> bool {
        self.works.is_empty() && self.twins.is_empty()
    }

    pub(crate) fn is_quiescent(&self) -> bool {
        self.unfinished == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.works.len()
    }

    /// Takes a work in. Messages of one key run one after the other; all else runs side by side.
    /// `repeats`: the batch that is being committed has the same foreign event.
    pub(crate) fn push(&mut self, work: Work, repeats: bool) {
        let index = self.works.len();
        self.bytes += work.bytes();
        if let (Some(source), Some(mark)) = (work.source(), work.mark()) {
            self.marks.insert(source.clone(), mark.clone());
        }
        // It stays a work: should the first one not be committed, this one is the first.
        if let Some(entry) = work.foreign()
            && (repeats || !self.inbox.insert(entry.clone()))
        {
            self.outcomes.duplicate += 1;
            self.works.push(work);
            return;
        }
        match &work {
            Work::Skip { repeated: true, .. } => self.outcomes.duplicate += 1,
            Work::Skip { repeated: false, .. } => self.outcomes.skipped += 1,
            Work::Unreadable { held, .. } => {
                let key = held.key.clone();
                self.task(Subject::Unreadable { work: index }, Some(key).filter(|k| !k.is_empty()));
            }
            Work::Message(fresh) => {
                let Fresh { message, poison, .. } = &**fresh;
                let key = message.key.clone();
                let subject = Subject::Message {
                    message: message.clone(),
                    via: Via::Lane,
                    poison: poison.clone(),
                };
                self.task(subject, Some(key));
            }
            Work::Retry(group) => self.retry(group),
            Work::Ruled { source, key, .. } => {
                let subject = Subject::Ruled { source: source.clone(), key: key.clone() };
                self.task(subject, Some(key.clone()));
            }
            Work::Agenda(work) => {
                let key = work.item.key.clone();
                self.task(Subject::Agenda { work: index }, Some(key));
            }
            Work::Command(job) => {
                if let Some(cause) = job.cause() {
                    self.causes.insert(cause);
                }
                self.task(Subject::Command { work: index }, None);
            }
        }
        self.works.push(work);
    }

    fn retry(&mut self, group: &RetryGroup) {
        for held in &group.messages {
            let via =
                Via::Held { attempts: held.attempts, held_at: held.held_at, state: held.state };
            let subject = match decode_held(held) {
                Ok(message) => Subject::Message {
                    message: Arc::new(message),
                    via,
                    poison: group.poison.clone(),
                },
                Err(malformed) => {
                    Subject::Stuck { held: Box::new(held.clone()), reason: malformed.reason }
                }
            };
            self.task(subject, Some(group.key.clone()));
        }
        let end = Subject::RetryEnd {
            source: group.source.clone(),
            key: group.key.clone(),
            complete: group.complete,
            holds: group.holds,
        };
        self.task(end, Some(group.key.clone()));
    }

    fn task(&mut self, subject: Subject, key: Option<Arc<str>>) {
        let index = self.tasks.len();
        self.unfinished += 1;
        let mut waits = false;
        if let Some(key) = key
            && let Some(before) = self.last_of_key.insert(key, index)
        {
            self.tasks[before].next = Some(index);
            waits = !matches!(self.tasks[before].state, TaskState::Finished);
        }
        if !waits {
            self.ready.insert(index);
        }
        self.tasks.push(Task {
            subject,
            state: TaskState::Ready,
            next: None,
            span: tracing::Span::none(),
        });
    }

    /// A task is done for good; the next of its key may start.
    pub(crate) fn finished(&mut self, index: usize) {
        self.unfinished -= 1;
        self.tasks[index].state = TaskState::Finished;
        if let Some(next) = self.tasks[index].next {
            self.ready.insert(next);
        }
    }

    /// Remembers that a task waits for a stream; asks for each stream once.
    pub(crate) fn block(&mut self, index: usize, want: Want) {
        let waiting = self.blocked.entry(want.stream.clone()).or_default();
        if waiting.is_empty() {
            self.to_load.push(want);
        }
        if !waiting.contains(&index) {
            waiting.push(index);
        }
    }

    /// A stream is there: its waiting tasks may go on.
    pub(crate) fn unblock(&mut self, stream: &StreamId) {
        for index in self.blocked.remove(stream).unwrap_or_default() {
            self.ready.insert(index);
        }
    }
}
