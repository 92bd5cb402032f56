//! A tenure: lease, epoch, comparison (P6 to P9).

use super::{end_tenure, id_of, is_level, is_shard_level, next_lane, when};
use crate::{
    LANES, Model, RELAYS, SHARDS, State, Variant,
    log::{Coordinator, Txn},
    plan::{self, Evidence, Verdict},
    relay::Phase,
    store::{Store, small},
};

/// Nobody starts a tenure with nothing to do: it would only make more states.
pub(super) fn lease(s: &mut State, r: u8, shard: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Idle && !relay.stopped)?;
    when(relay.map == s.store.shards && shard < relay.map)?;
    let lease = &s.store.leases[usize::from(shard)];
    when(lease.is_none_or(|holder| holder == r) && !is_shard_level(s, shard, relay.map))?;
    s.store.leases[usize::from(shard)] = Some(r);
    let relay = &mut s.relays[usize::from(r)];
    relay.phase = Phase::Leased;
    relay.shard = shard;
    Some(())
}

/// Somebody else who comes in between takes the id: then the tenure is over before it has begun.
pub(super) fn init(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    let id = id_of(model, s, r);
    when(matches!(relay.phase, Phase::Leased | Phase::Fencing) && !relay.stopped)?;
    when(!s.log.is_ending(id))?;
    if relay.phase == Phase::Fencing && s.log.coordinators[usize::from(id)].epoch != relay.epoch {
        s.relays[usize::from(r)].end_tenure();
        return Some(());
    }
    let given = s.log.init(id);
    let relay = &mut s.relays[usize::from(r)];
    relay.epoch = given.unwrap_or(s.log.coordinators[usize::from(id)].epoch);
    relay.phase = if given.is_some() { Phase::Checking } else { Phase::Fencing };
    Some(())
}

pub(super) fn check_map(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Checking && !relay.stopped)?;
    let moved = relay.map != s.store.shards && !model.is(Variant::MapReadBeforeEpoch);
    if moved {
        end_tenure(model, s, r);
        return Some(());
    }
    let heads = std::array::from_fn(|lane| s.store.head(lane));
    let first = Store::lanes_of(relay.shard, relay.map).map(small).next();
    let relay = &mut s.relays[usize::from(r)];
    if model.is(Variant::HeadsBeforeTails) {
        relay.heads = heads;
    }
    relay.phase = first.map_or(Phase::Serving, |lane| Phase::Reading { lane });
    Some(())
}

/// Whether the store still has the event that the relay has published last in a lane.
pub(super) fn follows_on(model: &Model, s: &State, r: u8, lane: usize) -> bool {
    let relay = &s.relays[usize::from(r)];
    let published = relay.published[lane];
    published == 0
        || s.store.event(lane, published) == Some(relay.last[lane])
        || model.is(Variant::ComparedAtStartOnly)
}

fn is_parted(model: &Model, s: &State, r: u8) -> bool {
    let relay = s.relays[usize::from(r)];
    !Store::lanes_of(relay.shard, relay.map).all(|lane| follows_on(model, s, r, lane))
}

pub(super) fn read_tail(s: &mut State, r: u8) -> Option<()> {
    let relay = &mut s.relays[usize::from(r)];
    let Phase::Reading { lane } = relay.phase else { return None };
    when(!relay.stopped)?;
    relay.tail = Some(s.log.partitions[usize::from(lane)].tail());
    relay.phase = Phase::Judging { lane };
    Some(())
}

pub(super) fn judge(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let evidence = evidence(model, s, r)?;
    let Phase::Judging { lane } = s.relays[usize::from(r)].phase else { return None };
    let mut verdict = plan::judge(&evidence, model.variant);
    if model.is(Variant::CommittedOffsets) {
        let id = usize::from(id_of(model, s, r));
        verdict = Verdict::After(s.log.coordinators[id].offsets[usize::from(lane)]);
    }
    match verdict {
        Verdict::After(seq) => go_on(s, r, lane, seq),
        Verdict::Wait => end_tenure(model, s, r),
        Verdict::Halt(why) if model.is(Variant::HeadsBeforeTails) => halt(s, r, why),
        Verdict::Halt(why) => s.relays[usize::from(r)].phase = Phase::Confirming { lane, why },
    }
    Some(())
}

/// What a relay has in hand when it judges.
pub(crate) fn evidence(model: &Model, s: &State, r: u8) -> Option<Evidence> {
    let relay = s.relays[usize::from(r)];
    let Phase::Judging { lane } = relay.phase else { return None };
    when(!relay.stopped)?;
    let tail = relay.tail?;
    let lane = usize::from(lane);
    let head =
        if model.is(Variant::HeadsBeforeTails) { relay.heads[lane] } else { s.store.head(lane) };
    let stored =
        tail.last.filter(|(seq, _)| *seq <= head).and_then(|(seq, _)| s.store.event(lane, seq));
    Some(Evidence { tail, head, stored, floor: s.store.floors[lane] })
}

fn go_on(s: &mut State, r: u8, lane: u8, seq: u8) {
    let next = next_lane(s, r, lane);
    let last = s.store.event(lane.into(), seq).unwrap_or_default();
    let relay = &mut s.relays[usize::from(r)];
    relay.tail = None;
    relay.published[usize::from(lane)] = seq;
    relay.taken[usize::from(lane)] = seq;
    relay.last[usize::from(lane)] = last;
    relay.phase = next.map_or(Phase::Serving, |lane| Phase::Reading { lane });
    if next.is_none() {
        relay.heads = [0; LANES];
    }
}

pub(super) fn confirm(s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    let Phase::Confirming { lane, why } = relay.phase else { return None };
    when(!relay.stopped)?;
    if relay.tail == Some(s.log.partitions[usize::from(lane)].tail()) {
        halt(s, r, why);
    } else {
        s.relays[usize::from(r)].end_tenure();
    }
    Some(())
}

/// Stands still, and gives the lease back.
fn halt(s: &mut State, r: u8, why: plan::Contradiction) {
    for lease in &mut s.store.leases {
        *lease = lease.filter(|holder| *holder != r);
    }
    let relay = &mut s.relays[usize::from(r)];
    relay.end_tenure();
    relay.phase = Phase::Halted(why);
}

pub(super) fn part(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Serving && !relay.stopped && is_parted(model, s, r))?;
    end_tenure(model, s, r);
    Some(())
}

pub(super) fn end(model: &Model, s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Serving && !relay.stopped && !is_parted(model, s, r))?;
    let mut lanes = Store::lanes_of(relay.shard, relay.map);
    when(lanes.all(|lane| s.store.head(lane) <= relay.published[lane]))?;
    // What is being ended may yet make it level.
    when(!(0..small(SHARDS)).any(|id| is_under_way(model, s, id)))?;
    when(!is_shard_level(s, relay.shard, relay.map))?;
    end_tenure(model, s, r);
    Some(())
}

/// Whether a transaction goes on: its marks are being written, or its owner is.
fn is_under_way(model: &Model, s: &State, id: u8) -> bool {
    let Coordinator { epoch, txn, .. } = s.log.coordinators[usize::from(id)];
    let owns = |r: u8| {
        let relay = &s.relays[usize::from(r)];
        let writes = matches!(relay.phase, Phase::Sending | Phase::Ending | Phase::Aborting);
        writes && !relay.stopped && relay.epoch == epoch && id_of(model, s, r) == id
    };
    match txn {
        Txn::Ending { .. } => true,
        Txn::Open => (0..small(RELAYS)).any(owns),
        Txn::None | Txn::Ended { .. } => false,
    }
}

pub(super) fn rest(s: &mut State, r: u8) -> Option<()> {
    let relay = s.relays[usize::from(r)];
    when(relay.phase == Phase::Serving && !relay.stopped)?;
    when(Store::lanes_of(relay.shard, relay.map).all(|lane| is_level(s, lane)))?;
    let waits = |shard: u8| {
        shard != relay.shard
            && s.store.leases[usize::from(shard)].is_none_or(|holder| holder == r)
            && !is_shard_level(s, shard, relay.map)
    };
    when((0..relay.map).any(waits) || s.store.shards != relay.map)?;
    let lease = &mut s.store.leases[usize::from(relay.shard)];
    *lease = lease.filter(|holder| *holder != r);
    s.relays[usize::from(r)].end_tenure();
    Some(())
}

pub(super) fn reconfigure(s: &mut State, r: u8) -> Option<()> {
    let shards = s.store.shards;
    let relay = &mut s.relays[usize::from(r)];
    when(relay.phase == Phase::Idle && !relay.stopped && relay.map != shards && shards > 0)?;
    relay.map = shards;
    Some(())
}
