//! The thread of a subscription: polls, assigns, seeks, and tells the group how far it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};

use super::{
    contact::Heard,
    desk::{Desk, Want},
    membership::Membership,
    standstill::Standstill,
};
use crate::{
    id::SourceLane,
    log::{
        Contact as _, LogError, LogRecord,
        kafka::{
            config::KafkaConfig,
            context, convert,
            error::{describe, unavailable},
            reader::is_passing,
        },
    },
};

/// After this long without anything in the queue, the thread sleeps until it is woken.
const LINGER: Duration = Duration::from_millis(1);
/// The longest sleep: membership wants the queue to be looked at now and then.
const SLEEP_MAX: Duration = Duration::from_millis(200);
/// A wish that librdkafka cannot fulfil yet is tried again after this long.
const RETRY: Duration = Duration::from_millis(5);
/// What is taken from the queue before it is put down. Above it the desk's room is looked at.
const PILE_RECORDS_MAX: usize = 256;
const PILE_BYTES_MAX: usize = 256 * 1024;
/// librdkafka answers a seek from memory; it has this long.
const SEEK_MAX: Duration = Duration::from_secs(1);
/// A broker has so long to say where lanes end; it is asked when nothing comes from them.
const ENDS_MAX: Duration = Duration::from_secs(1);
/// A handle that takes nothing for so long: the lanes are paused, so that the group's news can be polled.
const PATIENCE: Duration = Duration::from_millis(500);

/// Hears of the group's decisions.
struct Ears {
    desk: Arc<Desk>,
    heard: Arc<Heard>,
    membership: Membership,
    standstill: Standstill,
    /// Something came out of the queue that was no record: there may be more behind it.
    served: AtomicBool,
}

impl ClientContext for Ears {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::error(&error, reason);
    }

    /// Statistics that cannot be read look like a client that hears nothing: rdkafka tells of them only its own log.
    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => self.stats(statistics),
            Err(error) => tracing::warn!(%error, "librdkafka's statistics cannot be read"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.heard.note(&statistics);
        let answered = self.heard.silence().is_none();
        self.membership.note(&statistics, answered);
        self.standstill.note(&statistics);
        if !answered {
            self.standstill.forget();
        }
    }
}

impl ConsumerContext for Ears {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        lanes: &mut TopicPartitionList,
    ) {
        self.served.store(true, Ordering::Relaxed);
        let result = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                let result = assign(consumer, lanes);
                self.desk.assigned(sources(&self.desk, lanes));
                result
            }
            _ => {
                self.desk.revoked(sources(&self.desk, lanes));
                match consumer.rebalance_protocol() {
                    RebalanceProtocol::Cooperative => consumer.incremental_unassign(lanes),
                    _ => consumer.unassign(),
                }
            }
        };
        if let Err(error) = result {
            self.desk.fail(format!("the group's assignment failed: {}", describe(&error)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _lanes: &TopicPartitionList) {
        self.served.store(true, Ordering::Relaxed);
        if let Err(error) = result {
            tracing::debug!(%error, "progress was not noted; only lag tools miss it");
        }
    }
}

/// Takes the lanes on, and reads nothing of them before a seek. The offset is a stand-in: without one, the
/// group's would be asked for, which nobody wants to know (P2).
fn assign(consumer: &BaseConsumer<Ears>, lanes: &mut TopicPartitionList) -> KafkaResult<()> {
    lanes.set_all_offsets(Offset::Offset(0))?;
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(lanes)?,
        _ => consumer.assign(lanes)?,
    }
    consumer.pause(lanes)
}

fn sources(desk: &Desk, lanes: &TopicPartitionList) -> Vec<SourceLane> {
    let source = |topic: &str, partition| SourceLane {
        topic: desk.topic(topic),
        lane: convert::lane(partition),
    };
    lanes.elements().iter().map(|e| source(e.topic(), e.partition())).collect()
}

fn one(source: &SourceLane) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&source.topic, convert::partition(source.lane));
    list
}

/// What the queue still has when the thread turns to something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Whoever puts something in wakes the thread.
    Nothing,
    /// There may be records, of which nobody will tell: sleeping now would leave them lying.
    Unknown,
}

/// The thread's own things.
pub(super) struct Member {
    consumer: BaseConsumer<Ears>,
    desk: Arc<Desk>,
    progress_every: Duration,
    progress_told: Instant,
    /// The handle takes nothing: the lanes are paused.
    stalled: bool,
}

impl Member {
    /// Joins the group from the thread that will work.
    pub(super) fn join(
        config: &KafkaConfig,
        group: &str,
        topics: &[Arc<str>],
        desk: &Arc<Desk>,
        heard: &Arc<Heard>,
    ) -> Result<Self, LogError> {
        let (desk, heard) = (Arc::clone(desk), Arc::clone(heard));
        let ears = Ears {
            desk: Arc::clone(&desk),
            heard,
            membership: Membership::new(config.limits.membership_max),
            standstill: Standstill::new(config.limits.standstill_max),
            served: AtomicBool::new(false),
        };
        let mut consumer: BaseConsumer<Ears> = config
            .member(group)
            .create_with_context(ears)
            .map_err(|error| unavailable("cannot make a consumer", &error))?;
        let me = thread::current();
        consumer.set_nonempty_callback(move || me.unpark());
        let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        consumer
            .subscribe(&names)
            .map_err(|error| unavailable(&format!("cannot join {group}"), &error))?;
        Ok(Self {
            consumer,
            desk,
            progress_every: config.limits.progress_every,
            progress_told: Instant::now(),
            stalled: false,
        })
    }

    /// Works until the handle is gone, librdkafka gives up, the group has no place for it, or a lane stands still.
    /// Dropping the consumer leaves the group.
    pub(super) fn work(mut self) {
        while !self.desk.is_closed() {
            let lost = self.consumer.context().membership.lost();
            if let Some(reason) = lost.or_else(|| self.stands_still()) {
                self.desk.fail(reason);
                return;
            }
            let waiting = self.fulfil();
            let result = if self.desk.has_room() { self.read() } else { self.wait_for_room() };
            let left = match result {
                Ok(left) => left,
                Err(error) => {
                    self.desk.fail(describe(&error));
                    return;
                }
            };
            self.tell_progress(self.progress_every);
            if waiting {
                thread::park_timeout(RETRY);
            } else if left == Left::Nothing && self.desk.wants().is_empty() {
                thread::park_timeout(SLEEP_MAX);
            }
        }
        self.tell_progress(Duration::ZERO);
    }

    /// Why a new client is to take over from one that fetches nothing more of a lane. Asks the broker now and then.
    fn stands_still(&self) -> Option<String> {
        let watched = &self.consumer.context().standstill;
        let place = |lane: SourceLane| (lane.topic.to_string(), convert::partition(lane.lane));
        // Paused, nothing has to move.
        let read = || if self.stalled { vec![] } else { self.desk.reading() };
        let suspects = watched.suspects(|| read().into_iter().map(place).collect());
        if suspects.is_empty() {
            return None;
        }
        match self.ends(&suspects) {
            Ok(ends) => ends.iter().find_map(|(place, end)| watched.end(place, *end)),
            Err(error) => {
                tracing::debug!(error = %describe(&error), "where lanes end is not known now");
                None
            }
        }
    }

    /// Where partitions end for one who reads what is committed.
    fn ends(&self, places: &[(String, i32)]) -> KafkaResult<Vec<((String, i32), i64)>> {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            // In the place of a time.
            list.add_partition_offset(topic, *partition, Offset::End)?;
        }
        let ends = self.consumer.offsets_for_times(list, ENDS_MAX)?;
        let known = ends.elements().into_iter().filter_map(|lane| match lane.offset() {
            Offset::Offset(end) if lane.error().is_ok() => {
                Some(((lane.topic().to_owned(), lane.partition()), end))
            }
            _ => None,
        });
        Ok(known.collect())
    }

    /// Does what the handle wants; `true` when something has to be tried again.
    fn fulfil(&self) -> bool {
        let mut waiting = false;
        for (source, want) in self.desk.wants() {
            let result = match want {
                // Read when there is room again: see `read`.
                Want::ReadFrom(_) if self.stalled => Ok(()),
                Want::ReadFrom(offset) => self.read_from(&source, offset),
                Want::Pause => self.consumer.pause(&one(&source)),
            };
            match result {
                Ok(()) => self.desk.done(&source, want),
                Err(error) => {
                    // Mostly the lane was assigned a moment ago, and librdkafka has not started it.
                    tracing::debug!(lane = %source, ?want, error = %describe(&error), "not yet");
                    waiting = true;
                }
            }
        }
        waiting
    }

    /// The seek comes last: it makes void what was fetched before it.
    fn read_from(&self, source: &SourceLane, offset: i64) -> KafkaResult<()> {
        self.consumer.resume(&one(source))?;
        let partition = convert::partition(source.lane);
        self.consumer.seek(&source.topic, partition, Offset::Offset(offset), SEEK_MAX)
    }

    /// Takes what there is, until there is no more or no room.
    fn read(&mut self) -> KafkaResult<Left> {
        if self.stalled {
            self.stalled = false;
            self.desk.read_on();
            return Ok(Left::Unknown);
        }
        self.drain()
    }

    /// Records go to the desk as many at a time as lie ready: the handle wakes up for each time.
    fn drain(&self) -> KafkaResult<Left> {
        let mut pile = vec![];
        loop {
            let end = self.gather(&mut pile)?;
            if !self.desk.put(pile.drain(..)) {
                return Ok(Left::Unknown);
            }
            if let Some(left) = end {
                return Ok(left);
            }
        }
    }

    /// Takes what lies ready, up to a pile. Says what is left when there is nothing more to poll for now.
    fn gather(&self, pile: &mut Vec<LogRecord>) -> KafkaResult<Option<Left>> {
        let mut bytes = 0;
        while pile.len() < PILE_RECORDS_MAX && bytes < PILE_BYTES_MAX {
            let wait = if pile.is_empty() { LINGER } else { Duration::ZERO };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let topic = self.desk.topic(rdkafka::Message::topic(&message));
                    let record = convert::record(&topic, &message, self.desk.types());
                    bytes += convert::size(&record);
                    pile.push(record);
                }
                Some(Err(KafkaError::MessageConsumption(code))) if is_passing(code) => {
                    tracing::debug!(%code, "librdkafka goes on by itself");
                }
                Some(Err(error)) => return Err(error),
                None => {
                    let served = self.consumer.context().served.swap(false, Ordering::Relaxed);
                    let end = !served && pile.is_empty();
                    return Ok(end.then_some(Left::Nothing));
                }
            }
        }
        Ok(None)
    }

    /// Slowness passes backwards: nothing is polled. After a while the lanes are paused instead, so that
    /// the group's news come through and the membership stays alive.
    fn wait_for_room(&mut self) -> KafkaResult<Left> {
        if self.stalled {
            self.drain()?;
            thread::park_timeout(SLEEP_MAX);
            return Ok(Left::Unknown);
        }
        let until = Instant::now() + PATIENCE;
        while !self.desk.has_room() && !self.desk.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.stalled = true;
                let lanes = self.desk.reading();
                lanes.iter().try_for_each(|lane| self.consumer.pause(&one(lane)))?;
                break;
            }
            thread::park_timeout(left);
        }
        Ok(Left::Unknown)
    }

    /// Commits the group's offsets, for lag tools only (P2).
    fn tell_progress(&mut self, every: Duration) {
        if self.progress_told.elapsed() < every {
            return;
        }
        self.progress_told = Instant::now();
        let progress = self.desk.progress();
        if progress.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(progress.len());
        for (lane, next) in &progress {
            let partition = convert::partition(lane.lane);
            let added = list.add_partition_offset(&lane.topic, partition, Offset::Offset(*next));
            if let Err(error) = added {
                tracing::debug!(%lane, %error, "progress was not noted");
            }
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "progress was not noted");
        }
    }
}
