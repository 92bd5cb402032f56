//! The barrier, rows four to eight: a compensation arrives.

use crate::harness::*;

async fn ask(world: &World, how: How) {
    world.send(saga(1), Ask { key: "o".into(), how });
    world.answered().await;
}

async fn fail(world: &World) {
    world.send(saga(1), Failed { key: "o".into() });
    world.answered().await;
}

async fn outcome(world: &World, how: How) {
    world.send(saga(1), Outcome { key: "o".into(), how });
    world.answered().await;
}

#[tokio::test]
async fn a_compensation_undoes_a_done_action_once() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ask(&world, How::Do).await;
    fail(&world).await;
    assert_eq!(world.participation("o").await, ["DONE", "REVERTED", "quadrille.step_undone"]);
    fail(&world).await;
    ask(&world, How::Do).await;
    assert_eq!(world.types("o").await, ["DONE", "REVERTED"], "undone once, and not done again");
    assert_eq!(world.script.calls("UNDO", "o"), 1);
}

#[tokio::test]
async fn a_compensation_of_a_refused_action_is_a_no_op() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ask(&world, How::Refuse).await;
    fail(&world).await;
    assert_eq!(world.participation("o").await, ["DECLINED", "quadrille.step_refused"]);
}

#[tokio::test]
async fn a_compensation_of_an_action_under_way_is_noted_and_undone_at_the_outcome() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ask(&world, How::Begin).await;
    fail(&world).await;
    fail(&world).await;
    assert_eq!(
        world.participation("o").await,
        ["quadrille.step_started", "quadrille.step_undo_asked"],
        "noted once, and nothing is undone before the outcome"
    );
    outcome(&world, How::Do).await;
    assert_eq!(world.types("o").await, ["DONE", "REVERTED"]);
    fail(&world).await;
    assert_eq!(world.types("o").await, ["DONE", "REVERTED"]);
}

#[tokio::test]
async fn a_compensation_of_an_action_under_way_has_nothing_to_undo_when_the_outcome_is_a_refusal() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ask(&world, How::Begin).await;
    fail(&world).await;
    outcome(&world, How::Refuse).await;
    fail(&world).await;
    assert_eq!(world.types("o").await, ["DECLINED"]);
    assert_eq!(world.script.calls("UNDO", "o"), 0);
}

/// The other order: the outcome is there before the compensation.
#[tokio::test]
async fn a_compensation_after_the_outcome_undoes_it_or_does_nothing() {
    for (how, types) in [(How::Do, vec!["DONE", "REVERTED"]), (How::Refuse, vec!["DECLINED"])] {
        let world = World::new(1).await;
        let _trial = world.start().await;
        ask(&world, How::Begin).await;
        outcome(&world, how).await;
        fail(&world).await;
        assert_eq!(world.types("o").await, types);
    }
}

/// Empty rollback.
#[tokio::test]
async fn a_compensation_of_nothing_leaves_a_tombstone_and_undoes_nothing() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    fail(&world).await;
    assert_eq!(world.participation("o").await, ["quadrille.step_forestalled"]);
    assert!(world.types("o").await.is_empty());
}

#[tokio::test]
async fn a_compensation_of_a_tombstone_is_a_no_op() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    fail(&world).await;
    fail(&world).await;
    assert_eq!(world.participation("o").await, ["quadrille.step_forestalled"]);
}
