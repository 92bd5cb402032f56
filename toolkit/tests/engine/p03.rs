//! P3: dense numbers. What was applied is skipped; what is missing is looked up, and never stepped over.

use quadrille::store::Gap;

use crate::harness::*;

fn note(key: &str, text: impl ToString) -> Note {
    Note { key: key.into(), text: text.to_string(), how: How::Do }
}

async fn texts(world: &World, key: &str) -> Vec<String> {
    world.all::<Noted>(key).await.into_iter().map(|noted| noted.text).collect()
}

#[tokio::test]
async fn p03_a_duplicate_is_skipped() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let (source, _, _, record) = world.next(saga(1), &note("o", 1));
    world.put(&source, record.clone());
    world.put(&source, record.clone());
    world.send(saga(1), note("o", 2));
    world.put(&source, record);
    world.send(saga(1), note("o", 3));
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["1", "2", "3"]);
    assert_eq!(trial.client.counters().messages_duplicate, 2);
}

/// The number is in the log after all: further on, where a seek that went wrong would not have looked.
#[tokio::test]
async fn p03_a_number_that_seems_missing_is_looked_up_in_the_log() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.send(saga(1), note("o", 1));
    let (source, _, _, second) = world.next(saga(1), &note("o", 2));
    let (_, _, _, third) = world.next(saga(1), &note("o", 3));
    world.put(&source, third.clone());
    world.put(&source, second);
    world.put(&source, third);
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["1", "2", "3"]);
    assert!(trial.client.stopped_lanes().is_empty());
}

/// The position's offset is a hint that may be wrong; the number never is.
#[tokio::test]
async fn p03_a_wrong_seek_hint_does_no_harm() {
    for wrong in [0, 2, 999] {
        let world = World::new(1).await;
        let first = world.start().await;
        let source = (1..=3).map(|n| world.send(saga(1), note("o", n)).source).last().unwrap();
        world.applied().await;
        first.kill().await;
        spoil_hint(&world, &source, wrong).await;
        let _second = world.start().await;
        (4..=6).for_each(|n| drop(world.send(saga(1), note("o", n))));
        world.applied().await;
        assert_eq!(texts(&world, "o").await, ["1", "2", "3", "4", "5", "6"], "{wrong}");
    }
}

/// Moves nothing but the offset.
async fn spoil_hint(world: &World, source: &SourceLane, next_offset: i64) {
    use quadrille::store::{Append, Claim, Claimed, PositionMove};
    let claim = Claim {
        lanes: vec![source.clone()],
        consumes: Trial::consumes(),
        start: StartAt::First,
        held_max: 1,
    };
    let claimed = world.store.inner().claim(&claim).await.unwrap().remove(0);
    let Claimed::Owned { epoch, position, .. } = claimed else { panic!("{claimed:?}") };
    let (from, last_id) = (position.last_seq, position.last_id);
    let hint = PositionMove { source: source.clone(), epoch, from, to: from, last_id, next_offset };
    let append = Append { positions: vec![hint], ..Append::default() };
    world.store.inner().append(&append).await.unwrap();
}

#[tokio::test]
async fn p03_a_real_loss_stops_its_lane_and_no_other() {
    let world = World::new(2).await;
    let trial = world.start().await;
    let (broken, whole) = (world.key_in(Lane(0), "broken"), world.key_in(Lane(1), "whole"));
    world.send(saga(1), note(&broken, 1));
    let _lost = world.next(saga(1), &note(&broken, 2));
    let third = world.send(saga(1), note(&broken, 3));
    let stopped = until("the lane to stop", || async { trial.client.stopped_lanes().pop() }).await;
    assert_eq!(stopped.0, third.source);
    assert!(stopped.1.contains("number 2 is lost"), "{}", stopped.1);
    assert!(!trial.client.health().ready);
    world.send(saga(1), note(&broken, 4));
    world.send(saga(1), note(&whole, 1));
    until_true("the other lane", || async { texts(&world, &whole).await == ["1"] }).await;
    assert_eq!(texts(&world, &broken).await, ["1"], "never stepped over");
    assert_eq!(world.positions().await[&third.source], 1);
    // A restart changes nothing about it.
    trial.kill().await;
    let trial = world.start().await;
    until_true("the lane to stop again", || async { !trial.client.stopped_lanes().is_empty() })
        .await;
    assert_eq!(texts(&world, &broken).await, ["1"]);
}

/// A lane that has lost its very beginning, too: a first start is at number 1 unless it was said otherwise.
#[tokio::test]
async fn p03_a_lane_without_its_beginning_is_a_loss_when_the_start_is_the_first() {
    let world = World::new(1).await;
    let source = world.lane("up", "o");
    world.skip_to(&source, 5);
    world.send(saga(1), note("o", 6));
    let trial = world.start().await;
    let stopped = until("the lane to stop", || async { trial.client.stopped_lanes().pop() }).await;
    assert!(stopped.1.contains("number 1 is lost"), "{}", stopped.1);
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn p03_starting_at_what_is_retained_records_the_gap() {
    let world = World::with(1, |config| config.start = StartAt::Retained).await;
    let source = world.lane("up", "o");
    world.skip_to(&source, 5);
    world.send(saga(1), note("o", 6));
    let trial = world.start().await;
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["6"]);
    assert_eq!(
        world.store.gaps(10).await.unwrap(),
        [Gap { source: source.clone(), from: 1, to: 5 }]
    );
    // From then on what is missing is a loss.
    let _lost = world.next(saga(1), &note("o", 7));
    world.send(saga(1), note("o", 8));
    until_true("the lane to stop", || async { !trial.client.stopped_lanes().is_empty() }).await;
    assert_eq!(texts(&world, "o").await, ["6"]);
}

/// The start is stored for a lane that is still empty: changing one's mind later changes nothing.
#[tokio::test]
async fn p03_where_an_empty_lane_starts_is_said_once() {
    let world = World::new(1).await;
    let first = world.start().await;
    let source = world.lane("up", "o");
    until_true("the lane's row", || async { world.positions().await.contains_key(&source) }).await;
    first.kill().await;
    let trial = world.start_with(|config| config.start = StartAt::Retained).await;
    world.skip_to(&source, 5);
    world.send(saga(1), note("o", 6));
    until_true("the lane to stop", || async { !trial.client.stopped_lanes().is_empty() }).await;
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn p03_a_full_replay_applies_nothing_twice() {
    let world = World::new(2).await;
    let first = world.start().await;
    let sent: Vec<_> = (0..10).map(|n| world.next(saga(1), &note(&format!("o-{n}"), n))).collect();
    let replay = || {
        for (source, _, _, record) in &sent {
            world.put(source, record.clone());
        }
    };
    replay();
    world.applied().await;
    // Into the same topic, while it runs.
    replay();
    until_true("the replay", || async { first.client.counters().messages_duplicate == 10 }).await;
    assert_eq!(world.stored().await.len(), 10);
    // Into a topic that was made again, as on another cluster, after a restart.
    first.kill().await;
    world.log.recreate_topic(&world.topic("up"));
    replay();
    let _second = world.start().await;
    world.send(saga(1), note("o-0", "more"));
    world.applied().await;
    assert_eq!(world.stored().await.len(), 11);
    assert_eq!(texts(&world, "o-0").await, ["0", "more"]);
}
