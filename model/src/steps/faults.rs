//! Faults. Each takes one from what may still happen.

use super::{end_tenure, id_of, when};
use crate::{
    Bounds, Model, State, Variant,
    log::{EndTxn, Partition, Txn},
    relay::Phase,
    store::small,
};

/// One fault less of a kind, and of all.
fn spend(s: &mut State, kind: impl Fn(&mut Bounds) -> &mut u8) -> Option<()> {
    when(s.left.faults > 0 && *kind(&mut s.left) > 0)?;
    *kind(&mut s.left) -= 1;
    s.left.faults -= 1;
    Some(())
}

pub(super) fn crash(s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(!matches!(relay.phase, Phase::Idle | Phase::Halted(_)) && !relay.stopped)?;
    spend(s, |left| &mut left.crashes)?;
    // What it has sent is on the wire; nobody waits for an answer any more.
    let phase = relay.phase;
    if matches!(phase, Phase::Ending | Phase::Aborting) {
        let (epoch, shard) = (relay.epoch, relay.shard);
        let mine = |request: &EndTxn| request.epoch == epoch && request.shard == shard;
        s.log.wire.each(|request| request.late |= mine(request));
    }
    s.relays[usize::from(r)].end_tenure();
    Some(())
}

pub(super) fn stop(s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(!relay.stopped && relay.phase != Phase::Idle)?;
    // With none left to go on there is nothing to see.
    when(s.relays.iter().all(|relay| !relay.stopped))?;
    spend(s, |left| &mut left.stops)?;
    s.relays[usize::from(r)].stopped = true;
    Some(())
}

pub(super) fn pause(s: &mut State, shard: u8) -> Option<()> {
    let holder = s.store.leases[usize::from(shard)]?;
    let relay = s.relays[usize::from(holder)];
    when(relay.shard == shard && !relay.stopped && relay.phase != Phase::Idle)?;
    spend(s, |left| &mut left.pauses)?;
    s.store.leases[usize::from(shard)] = None;
    Some(())
}

pub(super) fn doubt(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(matches!(relay.phase, Phase::Sending | Phase::Ending) && !relay.stopped)?;
    spend(s, |left| &mut left.doubts)?;
    if model.is(Variant::SameEpochAfterAbort) && relay.phase == Phase::Sending {
        let request =
            EndTxn { shard: id_of(model, s, r), epoch: relay.epoch, commit: false, late: false };
        when(s.log.wire.push(request))?;
        let relay = &mut s.relays[usize::from(r)];
        relay.round = Default::default();
        relay.phase = Phase::Aborting;
    } else {
        end_tenure(model, s, r);
    }
    Some(())
}

pub(super) fn repeat(s: &mut State, at: u8) -> Option<()> {
    let request = *s.log.wire.get(usize::from(at))?;
    when(!request.late)?;
    spend(s, |left| &mut left.repeats)?;
    when(s.log.wire.push(EndTxn { late: true, ..request }))
}

pub(super) fn time_out(s: &mut State, shard: u8) -> Option<()> {
    when(s.log.coordinators[usize::from(shard)].txn == Txn::Open)?;
    spend(s, |left| &mut left.time_outs)?;
    s.log.time_out(shard);
    Some(())
}

/// The last commits are lost, of both lanes: `last` was the last event to be copied in time. What retention
/// has removed is days old, and was copied.
pub(super) fn fail_over(s: &mut State, last: u8) -> Option<()> {
    when(last < s.store.appended)?;
    spend(s, |left| &mut left.fail_overs)?;
    let before = s.store;
    s.lost |= s.store.fail_over(last);
    when(s.store.lanes != before.lanes)?;
    let copied = |(lane, partition): (usize, &Partition)| partition.trimmed <= s.store.head(lane);
    when(s.log.partitions.iter().enumerate().all(copied))
}

/// Producers that have written there are refused, for their sequence does not follow on. One whose epoch has
/// not written yet is not: see `docs/model.md` on what that means.
pub(super) fn lose_tail(s: &mut State, lane: usize) -> Option<()> {
    spend(s, |left| &mut left.lost_tails)?;
    when(none_is_fresh(s, lane))?;
    let partition = &mut s.log.partitions[lane];
    let cut = partition.records.iter().rposition(|record| !record.open)?;
    let offset = partition.records[cut].offset;
    while partition.records.len() > cut {
        partition.records.remove(cut)?;
    }
    partition.end = offset;
    s.blind |= partition.trimmed > 0;
    refuse_writers(s, lane);
    Some(())
}

pub(super) fn new_topic(s: &mut State) -> Option<()> {
    spend(s, |left| &mut left.new_topics)?;
    for lane in 0..s.log.partitions.len() {
        when(none_is_fresh(s, lane))?;
        let topic = s.log.partitions[lane].topic + 1;
        s.log.partitions[lane] = Partition { topic, ..Partition::default() };
        refuse_writers(s, lane);
    }
    Some(())
}

fn none_is_fresh(s: &State, lane: usize) -> bool {
    s.relays.iter().all(|relay| {
        let served = small(lane) % relay.map.max(1) == relay.shard;
        !relay.has_epoch() || !served || relay.wrote[lane]
    })
}

fn refuse_writers(s: &mut State, lane: usize) {
    for relay in &mut s.relays {
        relay.refused[lane] |= relay.wrote[lane];
    }
}

pub(super) fn retention(s: &mut State, lane: usize) -> Option<()> {
    spend(s, |left| &mut left.retentions)?;
    let partition = &mut s.log.partitions[lane];
    when(partition.stable())?;
    // A floor of a new topic is written long before anything in it is old.
    when(s.store.floors[lane].is_none_or(|floor| floor.topic == partition.topic))?;
    let last = *partition.records.last()?;
    let counted = s.store.floors[lane]
        .is_some_and(|floor| floor.seq == last.seq && floor.topic == partition.topic);
    // It takes days: by then all was published, and counted.
    s.blind |= !counted || s.store.head(lane) != last.seq;
    partition.trimmed = last.seq;
    partition.start = partition.end;
    partition.records = Default::default();
    Some(())
}
