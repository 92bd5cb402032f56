//! The relay's plan, without a relay: where publishing goes on, and what a round takes. For those who check
//! the protocol from outside, such as the model in this repository.

use crate::{
    engine::relay_plan as plan,
    id::{EventId, Lane, LaneSeq},
    log::{NewRecord, record::ServiceIdentity},
    store::{Floor, RecordedEvent},
};

/// What a relay knows of one lane when it decides where to go on (P6, P8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The last record of ours that is committed: its number and its id.
    pub last: Option<(LaneSeq, EventId)>,
    /// The first offset that retention has left.
    pub start_offset: i64,
    /// The offset after the last record or mark.
    pub end_offset: i64,
    /// No transaction is open.
    pub stable: bool,
    /// Which topic it is.
    pub topic_id: String,
    /// The last number in the store.
    pub head: LaneSeq,
    /// The id that the store has under the last record's number.
    pub stored: Option<EventId>,
    /// The floor that was written last.
    pub floor: Option<Floor>,
}

/// What the relay does with the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It publishes what the store has beyond this number.
    After(LaneSeq),
    /// It asks again; the text says why.
    Wait(String),
    /// It halts; the text says why.
    Halt(String),
}

/// The engine's own judgement of a lane whose whole partition was looked through.
#[must_use]
pub fn judge(lane: Lane, evidence: &Evidence) -> Verdict {
    let tail = plan::Tail {
        last: evidence.last,
        start_offset: evidence.start_offset,
        end_offset: evidence.end_offset,
        stable: evidence.stable,
        topic_id: evidence.topic_id.clone(),
        searched_all: true,
    };
    let floor = evidence.floor.as_ref();
    match plan::judge(lane, evidence.head, &tail, evidence.stored, floor) {
        plan::Start::After(seq) => Verdict::After(seq),
        plan::Start::Wait(reason) => Verdict::Wait(reason),
        plan::Start::Halt(reason) => Verdict::Halt(reason),
    }
}

/// The records that the engine's own relay would publish in one transaction: `positions` are its lanes with
/// the last number that is in the log and the event there, `offered` are events as they come from memory, of
/// any lane, some of them perhaps published before, each with the event before it in its lane; at most `max`
/// records. `None` when one of them follows another event than the one that was published (P8).
#[must_use]
pub fn round(
    service: &str,
    positions: &[(Lane, LaneSeq, Option<EventId>)],
    offered: &[(RecordedEvent, Option<EventId>)],
    max: usize,
) -> Option<Vec<NewRecord>> {
    let place = |(lane, published, last): &(Lane, LaneSeq, Option<EventId>)| plan::Place {
        lane: *lane,
        published: *published,
        last: *last,
        head: *published,
        floor: 0,
    };
    let mut rounds = plan::Rounds::new(positions.iter().map(place).collect());
    let offer = |(event, follows): &(RecordedEvent, Option<EventId>)| plan::Offered {
        event: event.clone(),
        follows: *follows,
    };
    rounds.offer(offered.iter().map(offer).collect());
    rounds.whole().ok()?;
    let most = plan::Most { records: max, bytes: usize::MAX };
    rounds.prepare(&ServiceIdentity::new(service), most);
    Some(rounds.take())
}
