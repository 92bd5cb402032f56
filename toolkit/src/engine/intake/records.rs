//! Records in: what is next is decided, what was applied is skipped, what is missing stops its lane.

use std::sync::Arc;

use super::Running;
use crate::{
    engine::{
        decider::{Fresh, Work, unreadable},
        lanes::Verdict,
        status::add,
    },
    id::{EventId, LaneSeq, SourceLane},
    log::{Delivery, Found, LogError, LogRecord, record},
    service::Service,
};

impl<S: Service> Running<S> {
    pub(super) async fn delivered(&mut self, delivery: Result<Delivery, LogError>) {
        match delivery {
            Ok(Delivery::Records(records)) => {
                self.log_backoff.reset();
                self.parts.status.tracer.polled(&records, &*self.parts.runtime.clock);
                let mut gaps = vec![];
                for record in records {
                    if let Some(gap) = self.record(record) {
                        gaps.push(gap);
                    }
                }
                for (source, expected) in gaps {
                    self.look_up(source, expected).await;
                }
            }
            Ok(Delivery::Assigned(lanes)) => self.assigned(lanes).await,
            Ok(Delivery::Revoked(lanes)) => self.revoked(&lanes),
            Err(error) => self.subscription_lost(&error),
        }
    }

    /// Takes one record; returns the number that is missing before it, if one is.
    fn record(&mut self, record: LogRecord) -> Option<(SourceLane, LaneSeq)> {
        if let Some(glance) = record::glance(&record)
            && !self.parts.decider.consumes(glance.event_type)
        {
            let (seq, id) = (glance.seq, glance.id);
            return self.judge(&record.source, seq, Some(id), record.offset, |running| {
                let Some(mark) = running.parts.decider.lanes.accepted(&record.source) else {
                    return;
                };
                let source = record.source.clone();
                running.parts.decider.push(Work::Skip { source, mark, repeated: false });
            });
        }
        let (source, offset) = (record.source.clone(), record.offset);
        let decoded = record::decode(&record, self.lanes_of.get(&source.topic).copied());
        let foreign = match &decoded {
            Ok(message) => message.foreign.is_some(),
            Err(malformed) => malformed.foreign.is_some(),
        };
        if foreign {
            self.foreign(&record, decoded);
            return None;
        }
        let (seq, id) = match &decoded {
            Ok(message) => (Some(message.seq), Some(message.id)),
            Err(malformed) => (malformed.seq, malformed.id),
        };
        let Some(seq) = seq else {
            if self.parts.decider.lanes.pass(&source, offset)
                && let (Err(malformed), Some(mark)) =
                    (decoded, self.parts.decider.lanes.accepted(&source))
            {
                let held = unreadable(&record, &malformed, self.parts.runtime.clock.now());
                self.parts.decider.push(Work::Unreadable {
                    held: Box::new(held),
                    mark,
                    foreign: None,
                });
            }
            return None;
        };
        self.judge(&source, seq, id, offset, |running| running.apply(&record, decoded))
    }

    /// Takes a numbered record when it is the next of its lane; returns the number that is missing before it,
    /// if one is.
    fn judge(
        &mut self,
        source: &SourceLane,
        seq: LaneSeq,
        id: Option<EventId>,
        offset: i64,
        take: impl FnOnce(&mut Self),
    ) -> Option<(SourceLane, LaneSeq)> {
        match self.parts.decider.lanes.offer(source, seq, id, offset) {
            Verdict::Apply => take(self),
            Verdict::Duplicate => add(&self.parts.status.counters.messages_duplicate, 1),
            Verdict::Gap { expected } => return Some((source.clone(), expected)),
            Verdict::OtherLog { seq, ours } => self.parts.status.lane_stopped(
                source,
                format!(
                    "the log has another event than {ours} under number {seq}, which this service has applied: \
                     the log was replaced, or its service lost committed data; a person must decide"
                ),
            ),
            Verdict::Ignore => {}
        }
        None
    }

    /// P4: no number says whether it was applied; the inbox does, in the append.
    fn foreign(&mut self, record: &LogRecord, decoded: Result<record::Message, record::Malformed>) {
        let (source, now) = (&record.source, self.parts.runtime.clock.now());
        let is_forgotten = now.since(record.time) >= self.parts.limits.inbox_kept;
        if self.parts.decider.lanes.offer_foreign(source, record.offset, is_forgotten) {
            self.apply(record, decoded);
        } else {
            add(&self.parts.status.counters.messages_duplicate, 1);
        }
    }

    fn apply(&mut self, record: &LogRecord, decoded: Result<record::Message, record::Malformed>) {
        let Some(mark) = self.parts.decider.lanes.accepted(&record.source) else { return };
        let work = match decoded {
            Ok(mut message) if self.parts.decider.consumes(&message.event_type) => {
                if message.foreign.is_some() {
                    message.seq = mark.seq;
                }
                Work::Message(Box::new(Fresh { message: Arc::new(message), mark, poison: None }))
            }
            Ok(_) => Work::Skip { source: record.source.clone(), mark, repeated: false },
            Err(malformed) => {
                let mut held = unreadable(record, &malformed, self.parts.runtime.clock.now());
                let foreign = malformed.foreign.map(|known| *known);
                if foreign.is_some() {
                    held.seq = mark.seq;
                }
                Work::Unreadable { held: Box::new(held), mark, foreign }
            }
        };
        self.parts.decider.push(work);
    }

    /// P3: the number may be in the log all the same. If it is not, it is a loss: the lane stops.
    async fn look_up(&mut self, source: SourceLane, expected: LaneSeq) {
        let log = self.parts.log.clone();
        let found = {
            let source = source.clone();
            self.alongside(async move { log.find(&source, expected).await }).await
        };
        match found {
            Ok(Found::At(offset)) => {
                tracing::info!(lane = %source, expected, offset, "sought back to a number that was skipped");
                self.parts.decider.lanes.resume(&source);
                self.seek(&source, offset).await;
            }
            Ok(Found::Missing { first }) => {
                self.parts.decider.lanes.stop(&source);
                let first =
                    first.map_or("nothing".to_owned(), |first| format!("number {first} on"));
                self.parts.status.lane_stopped(
                    &source,
                    format!(
                        "number {expected} is lost: the log does not have it (it holds {first}), and it was not applied here; \
                         it is never stepped over but by a person"
                    ),
                );
                self.pause(&source).await;
            }
            Err(error) => self.claim_later([source], &error),
        }
    }
}
