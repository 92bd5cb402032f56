//! The barrier: what makes two steps the same step.

use crate::harness::*;

#[tokio::test]
async fn the_same_step_under_another_key_is_another_step() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), Ask { key: "a".into(), how: How::Do });
    world.send(saga(1), Ask { key: "b".into(), how: How::Do });
    world.send(saga(1), Failed { key: "c".into() });
    world.applied().await;
    world.send(saga(1), Failed { key: "a".into() });
    world.send(saga(1), Ask { key: "c".into(), how: How::Do });
    world.applied().await;
    assert_eq!(world.types("a").await, ["DONE", "REVERTED"]);
    assert_eq!(world.types("b").await, ["DONE"]);
    assert!(world.types("c").await.is_empty());
}

#[tokio::test]
async fn the_same_step_of_another_saga_is_another_step() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), Ask { key: "o".into(), how: How::Do });
    world.send(saga(2), Ask { key: "o".into(), how: How::Do });
    world.applied().await;
    world.send(saga(2), Failed { key: "o".into() });
    world.send(saga(3), Failed { key: "o".into() });
    world.applied().await;
    world.send(saga(3), Ask { key: "o".into(), how: How::Do });
    world.send(saga(1), Ask { key: "o".into(), how: How::Do });
    world.applied().await;
    world.send(saga(1), Failed { key: "o".into() });
    world.send(saga(4), Ask { key: "o".into(), how: How::Do });
    world.applied().await;
    let steps: Vec<_> = world
        .stored()
        .await
        .into_iter()
        .map(|event| (event.event_type.to_string(), event.saga))
        .collect();
    let expected = [("DONE", 1), ("DONE", 2), ("REVERTED", 2), ("REVERTED", 1), ("DONE", 4)];
    let expected: Vec<_> = expected.map(|(name, n)| (name.to_owned(), saga(n))).into();
    let both_orders = [expected.clone(), {
        let mut other = expected;
        other.swap(3, 4);
        other
    }];
    assert!(both_orders.contains(&steps), "{steps:?}");
}

#[tokio::test]
async fn a_step_under_another_key_than_it_was_asked_for_is_a_bug() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.send(saga(1), Ask { key: "o".into(), how: How::UnderKey("other".into()) });
    world.applied().await;
    let dead = world.the_dead().await;
    assert!(
        dead.reason.starts_with("bug: the step DONE was asked for under the key \"o\""),
        "{}",
        dead.reason
    );
    assert!(world.stored().await.is_empty());
    assert_eq!(trial.client.counters().handler_bugs, 1);
}

/// The step's event is in an aggregate's stream: the participation knows of it all the same.
#[tokio::test]
async fn a_step_recorded_by_a_command_is_done_once_and_undone_once() {
    let world = World::new(1).await;
    let trial = world.start().await;
    for _ in 0..2 {
        world.send(saga(1), AskCharge { key: "o".into(), account: "acc".into() });
        world.applied().await;
    }
    let charged = trial.client.load::<Account>("acc").await.unwrap().unwrap();
    assert_eq!(charged.charged, 1, "charged once");
    for _ in 0..2 {
        world.send(saga(1), ChargeFailed { key: "o".into() });
        world.applied().await;
    }
    assert_eq!(world.types("o").await, ["CHARGED", "REFUNDED"]);
    assert_eq!(
        world.all::<Refunded>("o").await[0].account,
        "acc",
        "the undo gets the step's event"
    );
    world.send(saga(1), AskCharge { key: "o".into(), account: "acc".into() });
    world.applied().await;
    assert_eq!(world.types("o").await, ["CHARGED", "REFUNDED"]);
}
