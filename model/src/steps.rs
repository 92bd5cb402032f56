//! What each action does. `None` where it cannot be taken.

mod faults;
mod publish;
mod tenure;
mod world;

use crate::{
    Action, Model, State, Variant,
    log::Txn,
    store::{Store, small},
};

/// Takes an action.
pub(crate) fn take(model: &Model, s: &mut State, action: Action) -> Option<()> {
    match action {
        Action::Append(lane) => world::append(s, lane.into()),
        Action::Lease(r, shard) => tenure::lease(s, r, shard),
        Action::Init(r) => tenure::init(model, s, r),
        Action::CheckMap(r) => tenure::check_map(model, s, r),
        Action::ReadTail(r) => tenure::read_tail(s, r),
        Action::Judge(r) => tenure::judge(model, s, r),
        Action::Confirm(r) => tenure::confirm(s, r),
        Action::Take(r) => publish::take(model, s, r),
        Action::Write(r, lane) => publish::write(model, s, r, lane),
        Action::Commit(r) => publish::commit(model, s, r),
        Action::ReadFloor(r, lane) => publish::read_floor(model, s, r, lane),
        Action::WriteFloor(r) => publish::write_floor(s, r),
        Action::Part(r) => tenure::part(model, s, r),
        Action::EndTenure(r) => tenure::end(model, s, r),
        Action::Rest(r) => tenure::rest(s, r),
        Action::Reconfigure(r) => tenure::reconfigure(s, r),
        Action::ReshardStep(r) => world::reshard_step(model, s, r),
        Action::Deliver(at) => world::deliver(model, s, at),
        Action::Mark(shard, lane) => world::mark(model, s, shard, lane),
        Action::Expire(shard) => world::expire(model, s, shard),
        Action::Reshard(r) => world::reshard(s, r),
        Action::FinishReshard(r) => world::finish_reshard(s, r),
        Action::Crash(r) => faults::crash(s, r),
        Action::Stop(r) => faults::stop(s, r),
        Action::Pause(shard) => faults::pause(s, shard),
        Action::Doubt(r) => faults::doubt(model, s, r),
        Action::Repeat(at) => faults::repeat(s, at),
        Action::TimeOut(shard) => faults::time_out(s, shard),
        Action::FailOver(last) => faults::fail_over(s, last),
        Action::LoseTail(lane) => faults::lose_tail(s, lane.into()),
        Action::NewTopic => faults::new_topic(s),
        Action::Retention(lane) => faults::retention(s, lane.into()),
    }
}

/// Goes on only if it holds.
fn when(holds: bool) -> Option<()> {
    holds.then_some(())
}

/// The transactional id under which a relay publishes: that of its shard.
fn id_of(model: &Model, s: &State, r: u8) -> u8 {
    if model.is(Variant::LeaseWithoutEpoch) { r } else { s.relays[usize::from(r)].shard }
}

/// A tenure ends: whoever waits for an answer of the log waits no more.
fn end_tenure(model: &Model, s: &mut State, r: u8) {
    let id = id_of(model, s, r);
    let relay = &mut s.relays[usize::from(r)];
    if relay.has_epoch() {
        let epoch = relay.epoch;
        s.log.wire.each(|request| request.late |= request.shard == id && request.epoch == epoch);
    }
    relay.end_tenure();
}

/// Whether the log has of a lane what the store has.
pub(crate) fn is_level(s: &State, lane: usize) -> bool {
    let partition = &s.log.partitions[lane];
    let head = s.store.head(lane);
    let last = partition.visible().last();
    partition.stable()
        && last.map_or(partition.trimmed == head, |last| {
            last.seq == head && s.store.event(lane, head) == Some(last.id)
        })
}

/// Whether all lanes of a shard are level, and none of its transactions is open.
fn is_shard_level(s: &State, shard: u8, shards: u8) -> bool {
    let quiet = |id: usize| !matches!(s.log.coordinators[id].txn, Txn::Open | Txn::Ending { .. });
    quiet(usize::from(shard)) && Store::lanes_of(shard, shards).all(|lane| is_level(s, lane))
}

/// The first lane of a shard after `lane`.
fn next_lane(s: &State, r: u8, lane: u8) -> Option<u8> {
    let relay = &s.relays[usize::from(r)];
    Store::lanes_of(relay.shard, relay.map).map(small).find(|next| *next > lane)
}
