//! The model's relay and the engine's own: the same evidence, the same verdict; the same store, the same round.
//! Over all small inputs, and over whatever comes up on the model's own traces.

use std::collections::HashSet;

use model::{
    Action, Bounds, LANES, Model, State, Variant, actions,
    log::Tail,
    plan::{self, Contradiction, Evidence, Verdict},
    relay::Phase,
    store::{Floor, Store},
};
use quadrille::{
    id::{EventId, Lane, StreamId},
    runtime::Timestamp,
    store::{self, Published, RecordedEvent},
    testing::relay_plan,
};

/// States of each exploration whose judgements and rounds are compared.
const STATES_MAX: usize = 60_000;

fn id(n: u8) -> EventId {
    EventId(uuid::Uuid::from_u128(u128::from(n) + 1))
}

fn of_engine(lane: u8, evidence: &Evidence) -> Verdict {
    let Evidence { tail, head, stored, floor } = *evidence;
    let lane = Lane(lane.into());
    let floor = floor.map(|floor| store::Floor {
        lane,
        lane_seq: floor.seq.into(),
        end_offset: floor.end.into(),
        topic_id: floor.topic.to_string(),
    });
    let evidence = relay_plan::Evidence {
        last: tail.last.map(|(seq, event)| (seq.into(), id(event))),
        start_offset: tail.start.into(),
        end_offset: tail.end.into(),
        stable: tail.stable,
        topic_id: tail.topic.to_string(),
        head: head.into(),
        stored: stored.map(id),
        floor,
    };
    match relay_plan::judge(lane, &evidence) {
        relay_plan::Verdict::After(seq) => Verdict::After(u8::try_from(seq).unwrap()),
        relay_plan::Verdict::Wait(_) => Verdict::Wait,
        relay_plan::Verdict::Halt(reason) => Verdict::Halt(contradiction(&reason)),
    }
}

/// The engine says it in words.
fn contradiction(reason: &str) -> Contradiction {
    if reason.contains("retention has emptied") {
        Contradiction::NoFloor
    } else if reason.contains("the store ends at") {
        Contradiction::LogAhead
    } else {
        assert!(reason.contains("in the log and"), "another reason: {reason}");
        Contradiction::OtherEvent
    }
}

fn agree(evidence: &Evidence) -> Verdict {
    let of_model = plan::judge(evidence, None);
    assert_eq!(of_model, of_engine(1, evidence), "model and engine differ on {evidence:?}");
    of_model
}

#[test]
fn model_and_engine_judge_all_small_inputs_alike() {
    let lasts = || {
        let some = (1..=3).flat_map(|seq| (1..=2).map(move |id| Some((seq, id))));
        some.chain([None]).collect::<Vec<_>>()
    };
    let mut seen = HashSet::new();
    let mut floors = vec![None];
    for (seq, end, topic) in (1..=3).flat_map(|s| (0..=4).flat_map(move |e| [(s, e, 0), (s, e, 1)]))
    {
        floors.push(Some(Floor { seq, end, topic }));
    }
    for last in lasts() {
        for (start, end) in (0..=3).flat_map(|start| (start..=4).map(move |end| (start, end))) {
            for stable in [false, true] {
                let tail = Tail { last, start, end, topic: 0, stable };
                for (head, stored) in (0..=3).flat_map(|h| [None, Some(1), Some(2)].map(|s| (h, s)))
                {
                    for floor in &floors {
                        seen.insert(agree(&Evidence { tail, head, stored, floor: *floor }));
                    }
                }
            }
        }
    }
    // Every verdict there is: 4 numbers to go on after, to wait, and three ways to halt.
    assert_eq!(seen.len(), 8, "{seen:?}");
}

/// What the engine's relay would publish from memory, as lane, number and event; `None` when an event follows
/// another one than was published.
fn round_of_engine(state: &State, r: u8) -> Option<Vec<(usize, u8, EventId)>> {
    let relay = &state.relays[usize::from(r)];
    let mut offered = vec![];
    for lane in 0..LANES {
        let mut follows = None;
        for (event, seq) in state.store.lanes[lane].iter().zip(1u64..) {
            offered.push((recorded(lane, seq, *event), follows.replace(id(*event))));
        }
    }
    let position = |lane: usize| {
        let published = relay.published[lane];
        let last = (published > 0).then(|| id(relay.last[lane]));
        (Lane(u32::try_from(lane).unwrap()), u64::from(published), last)
    };
    let positions: Vec<_> = Store::lanes_of(relay.shard, relay.map).map(position).collect();
    let round = relay_plan::round("trial", &positions, &offered, 100)?;
    let header = |record: &quadrille::log::NewRecord, name: &str| {
        let header = record.headers.iter().find(|header| header.name == name).unwrap();
        String::from_utf8(header.value.to_vec()).unwrap()
    };
    let sent = round.iter().map(|record| {
        let seq = header(record, "ce_laneseq").parse().unwrap();
        (record.lane.0 as usize, seq, header(record, "ce_id").parse().unwrap())
    });
    Some(sent.collect())
}

fn recorded(lane: usize, seq: u64, event: u8) -> RecordedEvent {
    RecordedEvent {
        id: id(event),
        stream: StreamId::new("trial", &"key").unwrap(),
        version: seq,
        event_type: "HAPPENED".into(),
        payload: bytes::Bytes::from_static(b"{}"),
        saga: quadrille::id::SagaId(uuid::Uuid::from_u128(7)),
        causation: "cause".into(),
        time: Timestamp(0),
        trace: None,
        published: Some(Published {
            lane: Lane(u32::try_from(lane).unwrap()),
            lane_seq: seq,
            key: "key".into(),
        }),
    }
}

fn compare_round(before: &State, after: &State, r: u8) {
    let of_model: Vec<_> = after.relays[usize::from(r)]
        .round
        .iter()
        .map(|event| (usize::from(event.lane), event.seq, id(event.id)))
        .collect();
    assert_eq!(Some(of_model), round_of_engine(before, r), "{before:?}");
}

/// Whether there was anything to compare: the engine sees it in memory when the next event comes.
fn compare_parting(state: &State, r: u8) -> bool {
    let relay = &state.relays[usize::from(r)];
    let other = |lane: usize| {
        let published = relay.published[lane];
        published > 0
            && state.store.head(lane) > published
            && state.store.event(lane, published) != Some(relay.last[lane])
    };
    let due = Store::lanes_of(relay.shard, relay.map).any(other);
    assert_eq!(due, round_of_engine(state, r).is_none(), "{state:?}");
    due
}

/// Every judgement and every round on the way through the first states of each exploration.
#[test]
fn model_and_engine_do_the_same_on_the_models_traces() {
    let (mut judged, mut rounds, mut parted) = (0, 0, 0);
    // Three events: one that is published and lost, one in its place, and one that follows it.
    let lost = Variant::ComparedAtStartOnly.bounds();
    for bounds in Bounds::usual().into_iter().map(|(_, bounds)| bounds).chain([lost]) {
        let model = Model { bounds, variant: None };
        let mut seen = HashSet::from([model.start()]);
        let mut front = vec![model.start()];
        while let Some(state) = front.pop().filter(|_| seen.len() < STATES_MAX) {
            for action in actions::all() {
                let Some(next) = model.after(&state, action) else { continue };
                match action {
                    Action::Judge(r) => judged += usize::from(compare_judgement(&state, r)),
                    Action::Take(r) => {
                        compare_round(&state, &next, r);
                        rounds += 1;
                    }
                    Action::Part(r) => parted += usize::from(compare_parting(&state, r)),
                    _ => {}
                }
                if seen.insert(next) {
                    front.push(next);
                }
            }
        }
    }
    assert!(judged > 1_000 && rounds > 1_000, "{judged} judgements, {rounds} rounds");
    assert!(parted > 4, "{parted} partings");
}

fn compare_judgement(state: &State, r: u8) -> bool {
    let relay = &state.relays[usize::from(r)];
    let (Phase::Judging { lane }, Some(tail)) = (relay.phase, relay.tail) else { return false };
    let lane = usize::from(lane);
    let head = state.store.head(lane);
    let stored = tail.last.and_then(|(seq, _)| state.store.event(lane, seq));
    agree(&Evidence { tail, head, stored, floor: state.store.floors[lane] });
    true
}
