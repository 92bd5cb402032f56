//! One service's loop.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, mpsc as blocking},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};
use order::PlaceOrder;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

use super::{
    business::Business,
    consumer::Message,
    relay::Numbered,
    sql::{Batch, Before, Deadline, Event, Move, Writer},
};
use crate::stage::Ends;

/// A command, and where to answer.
pub(crate) struct Work {
    pub(crate) command: PlaceOrder,
    pub(crate) answer: oneshot::Sender<()>,
}

/// Where a service reads, writes and publishes.
pub(crate) struct Place {
    pub(crate) writer: Writer,
    pub(crate) reader: Writer,
    pub(crate) topics: Vec<String>,
    pub(crate) lanes: u32,
    pub(crate) messages: mpsc::Receiver<Vec<Message>>,
    /// Nothing where nobody wants the events.
    pub(crate) relay: Option<blocking::Sender<Vec<Numbered>>>,
    pub(crate) works_max: usize,
}

/// A service.
pub(crate) struct Service<B> {
    business: B,
    reader: Writer,
    writer: Option<Writer>,
    topics: Vec<String>,
    lanes: u32,
    messages: mpsc::Receiver<Vec<Message>>,
    /// Read, and too many for the batch that was open.
    waiting: VecDeque<Message>,
    commands: mpsc::Receiver<Work>,
    relay: Option<blocking::Sender<Vec<Numbered>>>,
    ends: Arc<Ends>,
    works_max: usize,
    ids: Ids,
    /// The last number of each topic and lane, and its event's id and the next offset.
    applied: BTreeMap<(usize, i32), (i64, Uuid, i64)>,
    /// As it was when the last batch was sealed.
    sealed: BTreeMap<(usize, i32), i64>,
    open: Open,
    /// The last event of each lane that was written to.
    last: BTreeMap<i32, Uuid>,
}

/// What is decided and not yet sent.
#[derive(Default)]
struct Open {
    works: usize,
    events: Vec<Event>,
    deadlines: Vec<Deadline>,
    cleared: Vec<Uuid>,
    answers: Vec<oneshot::Sender<()>>,
}

type Commit = JoinHandle<Result<(Writer, Vec<Event>, Vec<Before>, Vec<oneshot::Sender<()>>, u64)>>;

impl<B: Business> Service<B> {
    pub(crate) fn new(
        business: B,
        place: Place,
        commands: mpsc::Receiver<Work>,
        ends: Arc<Ends>,
    ) -> Self {
        let Place { writer, reader, topics, lanes, messages, relay, works_max } = place;
        Self {
            business,
            reader,
            writer: Some(writer),
            topics,
            lanes,
            messages,
            waiting: VecDeque::new(),
            commands,
            relay,
            ends,
            works_max,
            ids: Ids::new(),
            applied: BTreeMap::new(),
            sealed: BTreeMap::new(),
            open: Open::default(),
            last: BTreeMap::new(),
        }
    }

    /// Runs until its task is aborted; tells how many works are durable.
    pub(crate) async fn run(mut self, durable: impl Fn(u64) + Send) -> Result<()> {
        let mut commit: Option<Commit> = None;
        loop {
            if commit.is_none() && self.open.works > 0 {
                commit = self.start();
            }
            let room = self.open.works < self.works_max;
            if room && !self.waiting.is_empty() {
                self.take().await?;
                continue;
            }
            tokio::select! {
                biased;
                done = ended(&mut commit) => {
                    commit = None;
                    let (writer, events, befores, answers, works) = done??;
                    self.writer = Some(writer);
                    self.committed(events, &befores, answers)?;
                    durable(works);
                }
                Some(messages) = self.messages.recv(), if room => self.waiting.extend(messages),
                Some(work) = self.commands.recv(), if room => self.take_commands(work)?,
            }
        }
    }

    /// Decides as many messages as the open batch has room for.
    async fn take(&mut self) -> Result<()> {
        let room = self.works_max.saturating_sub(self.open.works).min(self.waiting.len());
        let messages: Vec<Message> = self.waiting.drain(..room).collect();
        let mut wanted = vec![];
        let mut seen = HashSet::new();
        for message in &messages {
            let acts = self.business.acts_on(&message.event_type);
            if acts && !self.business.knows(&message.key) && seen.insert(&message.key) {
                wanted.push(format!("participation/{}", message.key));
            }
        }
        let heads = if wanted.is_empty() { vec![] } else { self.reader.heads(&wanted).await? };
        let there: HashSet<String> = heads.into_iter().map(|(stream, _)| stream).collect();
        for message in messages {
            let place = (message.topic, message.lane);
            let (last, ..) = self.applied.get(&place).copied().unwrap_or_default();
            if message.seq <= last {
                continue;
            }
            ensure!(message.seq == last + 1, "a gap at {} of {place:?}", message.seq);
            if self.business.acts_on(&message.event_type) {
                let there = there.contains(&format!("participation/{}", message.key));
                let mut out = Out {
                    open: &mut self.open,
                    ids: &mut self.ids,
                    lanes: self.lanes,
                    saga: message.saga,
                    causation: message.id,
                    trace: message.trace.clone().unwrap_or_else(|| begun(message.saga, message.id)),
                };
                self.business.message(&message, there, &mut out)?;
            }
            self.applied.insert(place, (message.seq, message.id, message.offset + 1));
            self.open.works += 1;
        }
        Ok(())
    }

    fn take_commands(&mut self, first: Work) -> Result<()> {
        let mut next = Some(first);
        while let Some(Work { command, answer }) = next {
            let (saga, causation) = (self.ids.next(), self.ids.next());
            let trace = begun(saga, causation);
            let (open, ids) = (&mut self.open, &mut self.ids);
            let mut out = Out { open, ids, lanes: self.lanes, saga, causation, trace };
            self.business.command(command, &mut out)?;
            self.open.answers.push(answer);
            self.open.works += 1;
            next =
                if self.open.works < self.works_max { self.commands.try_recv().ok() } else { None };
        }
        Ok(())
    }

    fn start(&mut self) -> Option<Commit> {
        let mut writer = self.writer.take()?;
        let Open { works, events, deadlines, cleared, answers } = std::mem::take(&mut self.open);
        let mut moves = vec![];
        for ((topic, lane), (upto, id, next_offset)) in &self.applied {
            let since = self.sealed.insert((*topic, *lane), *upto).unwrap_or_default();
            if since < *upto {
                moves.push(Move {
                    topic: self.topics[*topic].clone(),
                    lane: *lane,
                    since,
                    upto: *upto,
                    id: *id,
                    next_offset: *next_offset,
                });
            }
        }
        let (cause, at, epoch) = (self.ids.next(), now(), 1);
        let batch = Batch { cause, at, epoch, moves, events, deadlines, cleared };
        Some(tokio::spawn(async move {
            let befores = writer.append(&batch).await?;
            Ok((writer, batch.events, befores, answers, works as u64))
        }))
    }

    fn committed(
        &mut self,
        events: Vec<Event>,
        befores: &[Before],
        answers: Vec<oneshot::Sender<()>>,
    ) -> Result<()> {
        for before in befores {
            let known = self.last.get(&before.lane).copied();
            ensure!(known.is_none() || known == before.id, "lane {} has parted", before.lane);
        }
        let mut next: BTreeMap<i32, i64> = befores.iter().map(|b| (b.lane, b.seq)).collect();
        let mut public = vec![];
        for event in events {
            let Some(lane) = event.lane else { continue };
            self.ends.durable(event.event_type, &event.stream);
            let seq = next.entry(lane).or_default();
            *seq += 1;
            self.last.insert(lane, event.id);
            public.push(Numbered { seq: *seq, event });
        }
        if let Some(relay) = self.relay.as_ref().filter(|_| !public.is_empty()) {
            ensure!(relay.send(public).is_ok(), "the relay has gone");
        }
        for answer in answers {
            let _ = answer.send(());
        }
        Ok(())
    }
}

/// Resolves when the commit has ended; never when there is none.
async fn ended(commit: &mut Option<Commit>) -> <Commit as Future>::Output {
    match commit {
        Some(commit) => commit.await,
        None => std::future::pending().await,
    }
}

/// Takes what is decided.
pub(crate) struct Out<'a> {
    open: &'a mut Open,
    ids: &'a mut Ids,
    lanes: u32,
    saga: Uuid,
    causation: Uuid,
    trace: Arc<str>,
}

impl Out<'_> {
    pub(crate) fn public(
        &mut self,
        stream: String,
        version: i64,
        event_type: &'static str,
        key: &str,
        payload: Vec<u8>,
    ) {
        let lane = quadrille::log::partition::lane_of(key.as_bytes(), self.lanes).0;
        let mut event = self.event(stream, version, event_type, payload);
        event.lane = i32::try_from(lane).ok();
        event.key = Some(key.to_owned());
        self.open.events.push(event);
    }

    pub(crate) fn private(
        &mut self,
        stream: String,
        version: i64,
        event_type: &'static str,
        payload: Vec<u8>,
    ) {
        let event = self.event(stream, version, event_type, payload);
        self.open.events.push(event);
    }

    /// Sets a deadline, and gives the id to clear it by.
    pub(crate) fn deadline(&mut self, after: Duration, key: &str, payload: Vec<u8>) -> Uuid {
        let id = self.ids.next();
        let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        self.open.deadlines.push(Deadline {
            id,
            due: now().saturating_add(after),
            saga: self.saga,
            key: key.to_owned(),
            causation: self.causation.to_string(),
            trace: Some(self.trace.clone()),
            payload,
        });
        id
    }

    /// Clears a deadline.
    pub(crate) fn clear(&mut self, deadline: Uuid) {
        self.open.cleared.push(deadline);
    }

    fn event(
        &mut self,
        stream: String,
        version: i64,
        event_type: &'static str,
        payload: Vec<u8>,
    ) -> Event {
        Event {
            version,
            time: now(),
            lane: None,
            id: self.ids.next(),
            saga: self.saga,
            stream,
            event_type,
            causation: self.causation.to_string(),
            key: None,
            trace: Some(self.trace.clone()),
            payload,
        }
    }
}

/// The trace of a saga that nobody traces, as the toolkit has it: each event carries it on.
pub(crate) fn begun(saga: Uuid, cause: Uuid) -> Arc<str> {
    let (_, span) = cause.as_u64_pair();
    format!("00-{}-{span:016x}-01", saga.simple()).into()
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// UUIDs of version 7: a time, a part that no other process has, and a counter.
pub(crate) struct Ids {
    own: u64,
    next: u64,
}

impl Ids {
    fn new() -> Self {
        let own = quadrille::runtime::Runtime::tokio().entropy.below(u64::MAX);
        Self { own, next: 0 }
    }

    fn next(&mut self) -> Uuid {
        self.next += 1;
        let millis = u64::try_from(now() / 1_000).unwrap_or_default();
        let mut random = [0; 10];
        random[..4].copy_from_slice(&self.own.to_be_bytes()[..4]);
        random[4..].copy_from_slice(&self.next.to_be_bytes()[2..]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
