//! What comes from outside: once a second of virtual time something may happen to an instance, a lane or a
//! store.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;

use super::{actors::Crowd, chance::Dice, executor::WORLD, faults::Fault, node::Node, plan::Site};
use crate::{
    id::{Lane, SourceLane},
    store::{Claim, EventStore as _, StartAt},
};

const POSSIBLE: &[Fault] = &[
    Fault::Visitor,
    Fault::LanesClaimed,
    Fault::Pause,
    Fault::ClockJump,
    Fault::Redeploy,
    Fault::LogTruncated,
    Fault::LogReplaced,
    Fault::StoreFellBack,
];

/// How far a clock may jump, in microseconds, forwards or back.
const JUMP_MICROS_MAX: u64 = 600_000_000;
/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Lets things happen, second by second, for ever.
pub(super) fn begin(crowd: &Arc<Crowd>) {
    let crowd = crowd.clone();
    let exec = crowd.core.exec.clone();
    let place: Arc<str> = "world".into();
    exec.clone().spawn(
        WORLD,
        Box::pin(async move {
            loop {
                exec.sleep(Duration::from_secs(1)).await;
                let site = crowd.core.site(&place, "second");
                if let Some(fault) = crowd.core.decide(&site, POSSIBLE) {
                    happen(&crowd, &site, fault);
                }
            }
        }),
    );
}

fn happen(crowd: &Arc<Crowd>, site: &Site, fault: Fault) {
    let mut dice = site.dice(crowd.core.seed, "whom");
    match fault {
        Fault::Visitor => visitor(crowd, site, &mut dice),
        Fault::LanesClaimed => claim(crowd, &mut dice),
        Fault::LogTruncated => truncate(crowd, &mut dice),
        Fault::LogReplaced => replace(crowd, &mut dice),
        Fault::StoreFellBack => fall_back(crowd, site, &mut dice),
        _ => {
            let nodes: Vec<Node> =
                crowd.nodes().values().filter(|n| !n.is_dead()).cloned().collect();
            if !nodes.is_empty() {
                to_instance(crowd, site, fault, &nodes[dice.index(nodes.len())], &mut dice);
            }
        }
    }
}

fn to_instance(crowd: &Arc<Crowd>, site: &Site, fault: Fault, node: &Node, dice: &mut Dice) {
    let core = &crowd.core;
    match fault {
        Fault::Pause => {
            let pause = core.some_time(site, "pause", 3_000, 30_000);
            core.tell(node.place(), || format!("stands still for {pause:?}"));
            node.pause(pause);
        }
        Fault::ClockJump => {
            let micros = i64::try_from(dice.below(JUMP_MICROS_MAX)).unwrap_or(0);
            let micros = if dice.below(2) == 0 { micros } else { -micros };
            core.tell(node.place(), || format!("its clock jumps by {} s", micros / 1_000_000));
            node.clock().jump(micros);
        }
        _ => redeploy(crowd, site, node),
    }
}

/// Drains the instance, and starts it again.
fn redeploy(crowd: &Arc<Crowd>, site: &Site, node: &Node) {
    let (service, number) = node.seat();
    let Some(instance) = crowd.instances()[service][number].take() else { return };
    let core = &crowd.core;
    let pause = core.some_time(site, "restart", 20, 3_000);
    core.tell(node.place(), || "is shut down".to_owned());
    let node = node.clone();
    core.exec.spawn(
        node.group(),
        Box::pin(async move {
            instance.shutdown(DRAIN).await;
            node.die(pause);
        }),
    );
}

/// Someone joins the group of a service for a while, and applies nothing.
fn visitor(crowd: &Arc<Crowd>, site: &Site, dice: &mut Dice) {
    let service = dice.index(crowd.kinds.len());
    let core = &crowd.core;
    let sources = &crowd.kinds[service].sources;
    let topics: Vec<Arc<str>> = core
        .services
        .iter()
        .filter(|s| sources.contains(&s.name))
        .map(|s| s.topic.clone())
        .collect();
    let (_, visit) = core.log.subscribe_as(&core.services[service].group, &topics);
    core.tell("world", || format!("a visitor joins {}", core.services[service].group));
    core.later(core.some_time(site, "visit", 100, 6_000), move || drop(visit));
}

/// Someone raises the epoch of all lanes that a service reads, and applies nothing (P2).
fn claim(crowd: &Arc<Crowd>, dice: &mut Dice) {
    let service = dice.index(crowd.kinds.len());
    let store = &crowd.core.services[service].store;
    let Some(Ok(positions)) = store.positions().now_or_never() else { return };
    let lanes: Vec<SourceLane> = positions.into_iter().map(|(lane, _)| lane).collect();
    let consumes = crowd.kinds[service].consumes.clone();
    let claim = Claim { lanes, consumes, start: StartAt::First, held_max: 1 };
    crowd.core.tell("world", || format!("the lanes of {} are claimed", crowd.kinds[service].name));
    drop(store.claim(&claim).now_or_never());
}

/// A lane loses its last entries: a leader without them was elected.
fn truncate(crowd: &Arc<Crowd>, dice: &mut Dice) {
    let core = &crowd.core;
    let service = &core.services[dice.index(core.services.len())];
    let lane = Lane(u32::try_from(dice.below(u64::from(service.lanes))).unwrap_or(0));
    let source = SourceLane { topic: service.topic.clone(), lane };
    let Some((start, end)) = core.log.bounds(&source) else { return };
    let offset = end.saturating_sub(i64::try_from(dice.between(1, 8)).unwrap_or(1)).max(start);
    core.tell("world", || format!("{source} loses what it had from offset {offset} to {end}"));
    core.log.truncate_tail(&service.topic, lane, offset);
    core.break_log(&service.topic);
}

fn replace(crowd: &Arc<Crowd>, dice: &mut Dice) {
    let core = &crowd.core;
    let service = &core.services[dice.index(core.services.len())];
    core.tell("world", || format!("{} is made again, empty", service.topic));
    core.log.recreate_topic(&service.topic);
    core.break_log(&service.topic);
}

/// A replica that lags becomes the store; while that happens, none answers.
fn fall_back(crowd: &Arc<Crowd>, site: &Site, dice: &mut Dice) {
    let core = crowd.core.clone();
    if (0..core.services.len()).any(|service| core.witness().fell_back(service)) {
        return;
    }
    let service = dice.index(core.services.len());
    let backup = core.services[service].store.fork();
    let appends = core.witness().appends(service);
    let outage = core.some_time(site, "outage", 1_000, 3_000);
    let (lag, restart) =
        (core.some_time(site, "lag", 50, 4_000), core.some_time(site, "restart", 20, 3_000));
    let crowd = crowd.clone();
    core.clone().later(lag, move || {
        let of = &core.services[service];
        core.note(of.name, "falls back", appends);
        core.tell(of.name, || {
            let lost = core.witness().appends(service) - appends;
            format!("its store fails over, and loses its last {lost} appends")
        });
        of.store.restore(&backup);
        core.witness().fall_back(service, appends);
        core.begin_outage(service, core.exec.now().plus(outage));
        // An intake to which nothing comes does not look at its positions again: where the log does not
        // tell that something was lost, the instances are started anew, as one does after a fail-over.
        if !super::invariants::contradicted(&crowd, of) {
            let nodes = crowd.nodes();
            let nodes = nodes.iter().filter(|((of, _), _)| *of == service);
            nodes.for_each(|(_, node)| node.die(restart));
        }
    });
}
