//! A counterexample as text: what happened, step by step, and what log and store have at the end.

use std::fmt::{self, Write as _};

use crate::{Action, State, relay::Phase, store::bit};

/// Who does it, as a column of the trace.
fn actor(action: Action) -> String {
    use Action as A;
    match action {
        A::Lease(r, _)
        | A::Init(r)
        | A::CheckMap(r)
        | A::ReadTail(r)
        | A::Judge(r)
        | A::Confirm(r)
        | A::Take(r)
        | A::Write(r, _)
        | A::Commit(r)
        | A::ReadFloor(r, _)
        | A::WriteFloor(r)
        | A::Part(r)
        | A::EndTenure(r)
        | A::Rest(r)
        | A::Reconfigure(r)
        | A::FinishReshard(r)
        | A::ReshardStep(r)
        | A::Crash(r)
        | A::Stop(r)
        | A::Doubt(r)
        | A::Reshard(r) => format!("relay {}", if r == 0 { 'A' } else { 'B' }),
        A::Append(_) | A::Expire(_) | A::FailOver(_) => "store".to_owned(),
        A::Pause(_) => "clock".to_owned(),
        A::Deliver(_) | A::Repeat(_) => "wire".to_owned(),
        A::Mark(..) | A::TimeOut(_) | A::LoseTail(_) | A::NewTopic | A::Retention(_) => {
            "broker".to_owned()
        }
    }
}

fn deed(action: Action, before: &State, after: &State) -> String {
    use Action as A;
    let relay = |r: u8| &after.relays[usize::from(r)];
    match action {
        A::Append(lane) => {
            let id = after.store.appended;
            format!("event e{id} gets number {} in lane {lane}", after.store.head(lane.into()))
        }
        A::Lease(_, shard) => format!("takes the lease of shard {shard}"),
        A::Init(r) if relay(r).phase == Phase::Fencing => "fences its predecessor".to_owned(),
        A::Init(r) if relay(r).phase == Phase::Idle => "was overtaken".to_owned(),
        A::Init(r) => format!("has epoch {}", relay(r).epoch),
        A::CheckMap(_) => "looks at the map of lanes".to_owned(),
        A::ReadTail(r) => match relay(r).tail.and_then(|tail| tail.last) {
            Some((seq, id)) => format!("reads the tail: number {seq} is e{id}"),
            None => "reads the tail: nothing of ours".to_owned(),
        },
        A::Judge(r) => judged(&before.relays[usize::from(r)].phase, relay(r)),
        A::Confirm(r) => match relay(r).phase {
            Phase::Halted(why) => format!("reads the tail again, and HALTS: {why:?}"),
            _ => "reads the tail again: it has changed".to_owned(),
        },
        A::Take(r) => {
            format!("takes {}", events(relay(r).round.iter().map(|e| (e.lane, e.seq, e.id))))
        }
        A::Write(r, lane) if after.log.partitions == before.log.partitions => {
            format!("is refused in lane {lane}, and starts over ({:?})", relay(r).phase)
        }
        A::Write(_, lane) => {
            let record = after.log.partitions[usize::from(lane)].records.last().copied();
            let record = record.unwrap_or_default();
            format!("writes number {} (e{}) to lane {lane}", record.seq, record.id)
        }
        A::Commit(_) => "asks for the commit".to_owned(),
        A::ReadFloor(r, lane) => {
            format!("reads lane {lane}'s end for a floor: {:?}", relay(r).floor)
        }
        A::WriteFloor(_) => "writes the floor".to_owned(),
        A::Part(_) => {
            "finds another event in the store than it published, and starts over".to_owned()
        }
        A::EndTenure(_) => "ends its tenure".to_owned(),
        A::Rest(_) => "gives its lease back".to_owned(),
        A::Reconfigure(r) => format!("is started again with {} shards", relay(r).map),
        A::FinishReshard(_) => "finds the map closed, and changes it anew".to_owned(),
        A::ReshardStep(_) => reshard_step(before, after),
        A::Deliver(at) => delivered(at, before, after),
        A::Mark(shard, lane) => format!("shard {shard}'s mark is written to lane {lane}"),
        A::Expire(shard) => format!("the lease of shard {shard} ends: nobody renews it"),
        A::Crash(_) => "FAULT: dies".to_owned(),
        A::Stop(_) => "FAULT: is stopped for good".to_owned(),
        A::Pause(shard) => {
            format!("FAULT: the lease of shard {shard} ends, its holder does not know")
        }
        A::Doubt(_) => "FAULT: does not learn how its transaction ended".to_owned(),
        A::Repeat(_) => {
            "FAULT: a request is sent again; the first copy is still under way".to_owned()
        }
        A::TimeOut(shard) => format!("FAULT: shard {shard}'s transaction is given up"),
        A::FailOver(last) => format!("FAULT: fails over, without what came after e{last}"),
        A::LoseTail(lane) => format!("FAULT: lane {lane} loses its last committed record"),
        A::NewTopic => "FAULT: the topic is made again, empty".to_owned(),
        A::Retention(lane) => format!("retention empties lane {lane}"),
        A::Reshard(_) => "is started with another number of shards".to_owned(),
    }
}

fn judged(before: &Phase, relay: &crate::relay::Relay) -> String {
    let Phase::Judging { lane } = *before else { return String::new() };
    match relay.phase {
        Phase::Confirming { why, .. } => format!("lane {lane} contradicts the store: {why:?}"),
        Phase::Halted(why) => format!("HALTS: {why:?}"),
        Phase::Idle => "cannot compare, and starts over".to_owned(),
        _ => format!("lane {lane} goes on after number {}", relay.published[usize::from(lane)]),
    }
}

fn reshard_step(before: &State, after: &State) -> String {
    match (before.store.shards, after.store.shards) {
        (old, new) if old == new => "fences an old id".to_owned(),
        (_, 0) => "closes the map of lanes".to_owned(),
        (_, new) => format!("opens the map of lanes: {new} shards"),
    }
}

fn delivered(at: u8, before: &State, after: &State) -> String {
    let Some(request) = before.log.wire.get(usize::from(at)) else { return String::new() };
    let what = if request.commit { "commit" } else { "abort" };
    let late = if request.late { "a LATE " } else { "the " };
    let shard = usize::from(request.shard);
    let ended = before.log.coordinators[shard].txn != after.log.coordinators[shard].txn;
    let effect = if ended { "ends what is open" } else { "ends nothing" };
    format!("{late}{what} of epoch {} arrives: {effect}", request.epoch)
}

fn events(list: impl Iterator<Item = (u8, u8, u8)>) -> String {
    let text: Vec<String> =
        list.map(|(lane, seq, id)| format!("number {seq} of lane {lane} (e{id})")).collect();
    text.join(", ")
}

/// The trace of a path.
#[must_use]
pub fn trace(path: &[(State, Option<Action>)]) -> String {
    let mut text = String::new();
    for (step, pair) in path.windows(2).enumerate() {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        let deed = deed(*action, before, after);
        let _ = writeln!(text, "{:>4}  {:<8} {deed}", step + 1, actor(*action));
    }
    if let Some((last, _)) = path.last() {
        let _ = write!(text, "{}", End(last));
    }
    text
}

/// What log and store have in the end.
struct End<'a>(&'a State);

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0;
        for (lane, partition) in state.log.partitions.iter().enumerate() {
            let stored: Vec<String> =
                state.store.lanes[lane].iter().map(|id| format!("e{id}")).collect();
            let mut logged: Vec<String> =
                (1..=partition.trimmed).map(|n| format!("{n}:gone")).collect();
            logged.extend(partition.records.iter().map(|record| {
                let open = if record.open { "?" } else { "" };
                let lost =
                    if state.lost & bit(record.id) != 0 { " (the store lost it)" } else { "" };
                format!("{}:e{}{open}{lost}", record.seq, record.id)
            }));
            writeln!(
                f,
                "      lane {lane}: store [{}], log [{}]",
                stored.join(" "),
                logged.join(" ")
            )?;
        }
        for (relay, name) in state.relays.iter().zip(["A", "B"]) {
            let stopped = if relay.stopped { ", stopped" } else { "" };
            writeln!(f, "      relay {name}: {:?}{stopped}", relay.phase)?;
        }
        Ok(())
    }
}
