//! Rounds: what is taken, written and committed; and floors (P6, P7).

use super::{end_tenure, id_of, tenure::follows_on, when};
use crate::{
    LANES, Model, State, Variant,
    log::{EndTxn, Record, Txn},
    relay::{Outgoing, Phase},
    store::{Floor, Store, small},
};

pub(super) fn take(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Serving && !relay.stopped && relay.floor.is_none())?;
    let mut next = relay;
    for lane in Store::lanes_of(relay.shard, relay.map) {
        when(s.store.head(lane) <= relay.published[lane] || follows_on(model, s, r, lane))?;
        for seq in relay.published[lane] + 1..=s.store.head(lane) {
            let id = s.store.event(lane, seq)?;
            when(next.round.push(Outgoing { lane: small(lane), seq, id }))?;
            next.taken[lane] = seq;
            next.last[lane] = id;
        }
    }
    when(!next.round.is_empty())?;
    next.phase = Phase::Sending;
    s.relays[usize::from(r)] = next;
    Some(())
}

/// The lanes of a round go to different brokers: their order is anyone's.
pub(super) fn write(model: &Model, s: &mut State, r: u8, lane: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    let id = id_of(model, s, r);
    when(relay.phase == Phase::Sending && !relay.stopped && !s.log.is_ending(id))?;
    let at = relay.round.iter().position(|event| event.lane == lane)?;
    let lane = usize::from(lane);
    when(!s.log.partitions[lane].records.is_full())?;
    let event = relay.round[at];
    let record = Record { seq: event.seq, id: event.id, shard: id, ..Record::default() };
    if relay.refused[lane] || !s.log.produce(lane, relay.epoch, record, model.counts_offsets()) {
        end_tenure(model, s, r);
        return Some(());
    }
    let relay = &mut s.relays[usize::from(r)];
    relay.wrote[lane] = true;
    relay.round.remove(at)?;
    Some(())
}

pub(super) fn commit(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Sending && !relay.stopped && relay.round.is_empty())?;
    let id = id_of(model, s, r);
    if model.is(Variant::CommittedOffsets) && !send_offsets(s, id, relay.epoch, relay.taken)? {
        end_tenure(model, s, r);
        return Some(());
    }
    let request = EndTxn { shard: id, epoch: relay.epoch, commit: true, late: false };
    when(s.log.wire.push(request))?;
    s.relays[usize::from(r)].phase = Phase::Ending;
    Some(())
}

/// Adds the position to the transaction, or begins one with it. False when the sender is fenced.
fn send_offsets(s: &mut State, id: u8, epoch: u8, taken: [u8; LANES]) -> Option<bool> {
    when(!s.log.is_ending(id))?;
    let coordinator = &mut s.log.coordinators[usize::from(id)];
    if coordinator.epoch != epoch {
        return Some(false);
    }
    coordinator.txn = Txn::Open;
    coordinator.offsets_open = Some(taken);
    Some(true)
}

/// Floors are read where something depends on them only.
pub(super) fn read_floor(model: &Model, s: &mut State, r: u8, lane: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    let at = usize::from(lane);
    when(model.counts_offsets() && relay.phase == Phase::Serving && !relay.stopped)?;
    when(relay.floor.is_none() && Store::lanes_of(relay.shard, relay.map).any(|l| l == at))?;
    let published = relay.published[at];
    when(s.store.floors[at].is_none_or(|floor| floor.seq < published) && published > 0)?;
    let tail = s.log.partitions[at].tail();
    // What the log shows must be what the relay has published: else it is somebody else's by now.
    let written = s.log.partitions[at].records.last().map(|record| record.seq);
    let shown = match model.variant {
        Some(Variant::FloorNumberFromMemory) => tail.stable,
        Some(Variant::FloorBeforeTheMarks) => written == Some(published),
        _ => tail.stable && written == Some(published),
    };
    when(shown)?;
    let floor = Floor { seq: published, end: tail.end, topic: tail.topic };
    s.relays[usize::from(r)].floor = Some((lane, floor));
    Some(())
}

/// A floor never takes the place of a higher one of the same topic.
pub(super) fn write_floor(s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    let (lane, floor) = relay.floor?;
    when(!relay.stopped)?;
    let stored = &mut s.store.floors[usize::from(lane)];
    let higher = stored.is_some_and(|old| old.topic == floor.topic && old.seq > floor.seq);
    if !higher {
        *stored = Some(floor);
    }
    s.relays[usize::from(r)].floor = None;
    Some(())
}
