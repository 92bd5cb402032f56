//! Brokers, the wire, the store's clock; and those who append, and those who change the map.

use super::{end_tenure, id_of, when};
use crate::{
    LANES, Model, State, Variant,
    log::{Answer, EndTxn, Txn},
    relay::{Phase, Relay},
    store::small,
};

pub(super) fn append(s: &mut State, lane: usize) -> Option<()> {
    when(s.left.events > 0)?;
    s.left.events -= 1;
    when(s.store.append(lane))
}

pub(super) fn deliver(model: &Model, s: &mut State, at: u8) -> Option<()> {
    let request = s.log.wire.remove(at.into())?;
    // Marks are being written: the request is put off, and sent again.
    when(!s.log.is_ending(request.shard))?;
    let answer = s.log.end(request);
    if !request.late
        && let Some(r) = sender(model, s, &request)
    {
        answered(model, s, r, answer);
    }
    Some(())
}

fn sender(model: &Model, s: &State, request: &EndTxn) -> Option<u8> {
    let waits = |r: &u8| {
        let relay = &s.relays[usize::from(*r)];
        matches!(relay.phase, Phase::Ending | Phase::Aborting)
            && relay.epoch == request.epoch
            && id_of(model, s, *r) == request.shard
    };
    (0..small(s.relays.len())).find(waits)
}

fn answered(model: &Model, s: &mut State, r: u8, answer: Answer) {
    let relay = &mut s.relays[usize::from(r)];
    // A stopped process reads nothing.
    if relay.stopped {
        return;
    }
    match (relay.phase, answer) {
        (Phase::Ending, Answer::Done) => {
            relay.published = relay.taken;
            relay.phase = Phase::Serving;
        }
        (Phase::Aborting, Answer::Done | Answer::NoSuchTransaction) => {
            relay.phase = Phase::Checking;
        }
        _ => end_tenure(model, s, r),
    }
}

/// A transaction that wrote to no partition has nothing to mark: any lane ends it.
pub(super) fn mark(model: &Model, s: &mut State, shard: u8, lane: u8) -> Option<()> {
    let coordinator = &s.log.coordinators[usize::from(shard)];
    when(matches!(coordinator.txn, Txn::Ending { .. }))?;
    let lane = usize::from(lane);
    let unmarked = coordinator.partitions[lane];
    when(unmarked || (lane == 0 && coordinator.partitions == [false; LANES]))?;
    s.log.mark(shard, lane, model.counts_offsets() && unmarked);
    Some(())
}

/// Whoever works renews its lease; the others' end by the store's clock.
pub(super) fn expire(model: &Model, s: &mut State, shard: u8) -> Option<()> {
    let lease = &mut s.store.leases[usize::from(shard)];
    let holder = s.relays[usize::from((*lease)?)];
    let locked = holder.stopped && model.is(Variant::AdvisoryLock);
    let serves = holder.shard == shard
        && !holder.stopped
        && !matches!(holder.phase, Phase::Idle | Phase::Halted(_) | Phase::Resharding { .. });
    when(!locked && !serves)?;
    *lease = None;
    Some(())
}

pub(super) fn reshard(s: &mut State, r: u8) -> Option<()> {
    when(s.left.reshards > 0)?;
    let relay = &mut s.relays[usize::from(r)];
    when(relay.phase == Phase::Idle && !relay.stopped && relay.map == s.store.shards)?;
    s.left.reshards -= 1;
    relay.phase = Phase::Resharding { step: 0, to: 3 - relay.map, change: 0 };
    Some(())
}

/// Whoever comes while the map is closed changes it to its own number. To do so while the first one is alive
/// is a fault: it was taken for dead.
pub(super) fn finish_reshard(s: &mut State, r: u8) -> Option<()> {
    when(s.store.shards == 0)?;
    let alive = |relay: &Relay| matches!(relay.phase, Phase::Resharding { .. }) && !relay.stopped;
    if s.relays.iter().any(alive) {
        when(s.left.pauses > 0 && s.left.faults > 0)?;
        s.left.pauses -= 1;
        s.left.faults -= 1;
    }
    let relay = &mut s.relays[usize::from(r)];
    when(relay.phase == Phase::Idle && !relay.stopped)?;
    relay.phase = Phase::Resharding { step: 0, to: relay.map, change: 0 };
    Some(())
}

/// A step of changing the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The map holds for nobody.
    Close,
    /// An id gets a new epoch.
    Fence(u8),
    /// The new map holds.
    Open,
}

fn changes(variant: Option<Variant>) -> &'static [Change] {
    use Change::{Close, Fence, Open};
    match variant {
        Some(Variant::OldShardsNotFenced) => &[Open],
        Some(Variant::OldShardsFencedBefore) => &[Fence(0), Fence(1), Open],
        Some(Variant::OldMapHoldsMeanwhile) => &[Fence(0), Fence(1), Open, Fence(0), Fence(1)],
        _ => &[Close, Fence(0), Fence(1), Open],
    }
}

pub(super) fn reshard_step(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    let Phase::Resharding { step, to, mut change } = relay.phase else { return None };
    when(!relay.stopped)?;
    let changes = changes(model.variant);
    let done = match *changes.get(usize::from(step))? {
        Change::Close => {
            s.store.shards = 0;
            s.store.change += 1;
            change = s.store.change;
            true
        }
        _ if change != s.store.change && step > 0 => {
            s.relays[usize::from(r)].end_tenure();
            return Some(());
        }
        Change::Fence(id) => {
            when(!s.log.is_ending(id))?;
            s.log.init(id).is_some()
        }
        Change::Open => {
            s.store.shards = to;
            true
        }
    };
    let step = step + u8::from(done);
    let relay = &mut s.relays[usize::from(r)];
    relay.phase = Phase::Resharding { step, to, change };
    if usize::from(step) == changes.len() {
        relay.end_tenure();
        relay.map = to;
    }
    Some(())
}
