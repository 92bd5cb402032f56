//! Log and store, lane by lane: where publishing goes on, what hangs there, and the floors (P6, P8).

use super::{
    End, Relay,
    plan::{Start, Tail, judge},
    rounds::{Place, Rounds},
};
use crate::{
    engine::status::add,
    id::{EventId, Lane, LaneSeq, SourceLane},
    log::Publisher,
    mutant::{Mutant, broken},
    store::{BoxError, Floor},
};

/// Records that are read from a tail at first; eight times as many each time that none is ours.
const TAIL_RECORDS_FIRST: usize = 4;
/// Foreign records at a tail beyond which the relay gives up looking for its own.
const TAIL_RECORDS_MAX: usize = 100_000;

impl Relay {
    /// Our predecessors' transactions ended when we took the epoch, so one that is still open in a lane hangs there,
    /// or is another id's. Ours is aborted; the tail then says what is to be published again (P6).
    pub(super) async fn abort_hanging(&self, publisher: Box<dyn Publisher>) -> Result<(), End> {
        let mut open = vec![];
        for lane in &self.lanes {
            if !self.tail(*lane).await?.stable {
                open.push(*lane);
            }
        }
        tracing::warn!(id = %self.transactional_id, lanes = ?open, "a transaction hangs at the log's end: it is aborted");
        add(&self.status.counters.relay_hanging, 1);
        Ok(publisher.abort_hanging(&open).await?)
    }

    /// What is open behind our own abort is another producer's.
    pub(super) fn anothers(&self, end: End) -> End {
        let End::Open(reason) = end else { return end };
        let topic = &self.topic;
        End::Trouble(format!(
            "{reason}, of another producer than {}. If it does not end by itself, it hangs: `kafka-transactions.sh find-hanging --topic {topic}` shows it, and `abort` ends it",
            self.transactional_id
        ))
    }

    /// Compares each lane's tail with the store (P6, P8). The inner error is a contradiction.
    ///
    /// The tail is read before the store: read the other way round, what a later holder appends and publishes
    /// in between would look like a log that the store does not know. For the same reason it is read again
    /// before anything halts.
    pub(super) async fn compare(&self) -> Result<Result<Rounds, String>, End> {
        let mut places = vec![];
        for lane in &self.lanes {
            let tail = self.tail(*lane).await?;
            let heads = self.store.lane_heads().await?;
            let head = heads.get(lane.0 as usize).copied().unwrap_or(0);
            let stored = match &tail.last {
                Some((seq, _)) if *seq <= head => self.stored(*lane, *seq).await?,
                _ => None,
            };
            let floor = self.store.floor(*lane).await?;
            match judge(*lane, head, &tail, stored, floor.as_ref()) {
                Start::After(seq) => {
                    let (seq, stored) = match broken(Mutant::PositionFromTable) {
                        true => (floor.as_ref().map_or(0, |floor| floor.lane_seq), None),
                        false => (seq, stored),
                    };
                    let last =
                        if stored.is_some() { stored } else { self.stored(*lane, seq).await? };
                    if seq > 0 && last.is_none() {
                        return Err(End::Doubt(format!(
                            "{lane:?}: the store has changed meanwhile"
                        )));
                    }
                    let floor = floor.filter(|floor| floor.topic_id == tail.topic_id);
                    let floor = floor.map_or(0, |floor| floor.lane_seq);
                    places.push(Place { lane: *lane, published: seq, last, head, floor });
                }
                Start::Wait(reason) => return Err(End::Open(reason)),
                Start::Halt(_) if self.tail(*lane).await? != tail => {
                    return Err(End::Doubt(format!("{lane:?}: the log has changed meanwhile")));
                }
                Start::Halt(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(Rounds::new(places)))
    }

    /// The id that the store has under a number.
    async fn stored(&self, lane: Lane, seq: LaneSeq) -> Result<Option<EventId>, End> {
        let Some(before) = seq.checked_sub(1) else { return Ok(None) };
        let events = self.store.read_lane(lane, before, 1).await?;
        Ok(events.first().map(|event| event.id))
    }

    /// Reads a partition backwards until a record of ours is found.
    pub(super) async fn tail(&self, lane: Lane) -> Result<Tail, End> {
        let source = SourceLane { topic: self.topic.clone(), lane };
        let mut count = TAIL_RECORDS_FIRST;
        loop {
            let back = self.log.read_back(&source, count).await?;
            let ours = back.records.iter().rev().find_map(|record| self.identity.ours(record));
            let foreign = back
                .records
                .iter()
                .rev()
                .take_while(|record| self.identity.ours(record).is_none())
                .count();
            if ours.is_some() || back.from_start || count >= TAIL_RECORDS_MAX {
                if foreign > 0 {
                    tracing::warn!(lane = %source, foreign, "records at the tail that are not ours: stepped over");
                }
                return Ok(Tail {
                    last: ours,
                    start_offset: back.start_offset,
                    end_offset: back.end_offset,
                    stable: back.stable,
                    topic_id: back.topic_id,
                    searched_all: back.from_start,
                });
            }
            count *= 8;
        }
    }

    /// Writes the floors of some lanes (P6). Each asks the log, so that rounds wait for a moment.
    pub(super) async fn write_floors(
        &self,
        rounds: &mut Rounds,
        lanes: impl IntoIterator<Item = Lane>,
    ) -> Result<(), End> {
        for lane in lanes {
            let source = SourceLane { topic: self.topic.clone(), lane };
            let back = self.log.read_back(&source, 1).await?;
            let lane_seq = rounds.position(lane);
            let too_high = LaneSeq::from(broken(Mutant::FloorTooHigh));
            // While marks are being written the end is not known; and a number and an offset belong together
            // only while nobody else has published. Another time, then.
            let last = back.records.last().and_then(|record| self.identity.ours(record));
            if !back.stable || last.is_none_or(|(seq, _)| seq != lane_seq) {
                continue;
            }
            let floor = Floor {
                lane,
                lane_seq: lane_seq + too_high,
                end_offset: back.end_offset,
                topic_id: back.topic_id,
            };
            self.store
                .set_floor(&floor)
                .await
                .map_err(|e| End::Trouble(BoxError::from(e).to_string()))?;
            rounds.floor_written(lane);
        }
        Ok(())
    }
}
