//! The barrier, rows one to three: an action arrives.

use crate::harness::*;

#[tokio::test]
async fn an_action_runs_when_nothing_is_there() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), Ask { key: "o".into(), how: How::Do });
    world.applied().await;
    assert_eq!(world.types("o").await, ["DONE"]);
}

/// The row's three cases: done, refused, under way. The handler must not even be called again.
#[tokio::test]
async fn a_second_action_is_a_no_op_whatever_became_of_the_first() {
    for (how, participation) in [
        (How::Do, vec!["DONE"]),
        (How::Refuse, vec!["DECLINED", "quadrille.step_refused"]),
        (How::Begin, vec!["quadrille.step_started"]),
    ] {
        let world = World::new(1).await;
        let _trial = world.start().await;
        world.send(saga(1), Ask { key: "o".into(), how: how.clone() });
        world.applied().await;
        // Both ways of coming again: in a later batch, and two in one batch.
        for _ in 0..2 {
            world.send(saga(1), Ask { key: "o".into(), how: How::Do });
        }
        world.applied().await;
        assert_eq!(world.participation("o").await, participation, "{how:?}");
        assert_eq!(world.script.calls("ASK", "o"), 1, "{how:?}");
    }
}

/// Suspension: the compensation came first. No business failure goes out for the late action.
#[tokio::test]
async fn an_action_behind_a_tombstone_is_refused_and_recorded() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), Failed { key: "o".into() });
    world.applied().await;
    world.send(saga(1), Ask { key: "o".into(), how: How::Refuse });
    world.applied().await;
    let participation = world.participation("o").await;
    assert_eq!(participation.last().unwrap(), "quadrille.step_suspended", "{participation:?}");
    assert!(world.types("o").await.is_empty(), "nothing goes out");
    assert_eq!(world.script.calls("ASK", "o"), 0);
    assert!(world.held(HeldState::Dead).await.is_empty(), "it is answered, not dead");
}

/// Action and compensation race into one batch from two topics: whatever the order, nothing stays done.
#[tokio::test]
async fn an_action_and_its_compensation_in_one_batch_leave_nothing_done() {
    let world = World::new(1).await;
    for n in 0..20 {
        world.send(saga(n), Ask { key: format!("o-{n}"), how: How::Do });
        world.send(saga(n), Failed { key: format!("o-{n}") });
    }
    let _trial = world.start().await;
    world.applied().await;
    for n in 0..20 {
        let types = world.types(&format!("o-{n}")).await;
        assert!(types.is_empty() || types == ["DONE", "REVERTED"], "{n}: {types:?}");
    }
}
