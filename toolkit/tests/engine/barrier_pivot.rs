//! The barrier, last row: a cancellation meets the pivot, and the pivot's owner answers.

use crate::harness::*;

async fn ship(world: &World, how: How) {
    world.send(saga(1), AskShip { key: "o".into(), how });
    world.answered().await;
}

async fn cancel(world: &World) {
    world.send(saga(1), Cancel { key: "o".into() });
    world.answered().await;
}

#[tokio::test]
async fn a_cancellation_before_the_pivot_is_in_time_and_the_late_pivot_is_refused() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    cancel(&world).await;
    ship(&world, How::Do).await;
    assert_eq!(world.types("o").await, ["CANCELLED"]);
    let participation = world.participation("o").await;
    assert_eq!(participation.last().unwrap(), "quadrille.step_suspended", "{participation:?}");
}

#[tokio::test]
async fn a_cancellation_after_the_pivot_is_refused_by_its_owner() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ship(&world, How::Do).await;
    cancel(&world).await;
    assert_eq!(world.types("o").await, ["SHIPPED", "TOO_LATE"]);
}

#[tokio::test]
async fn a_cancellation_of_a_pivot_under_way_is_too_late() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ship(&world, How::Begin).await;
    cancel(&world).await;
    assert_eq!(world.types("o").await, ["TOO_LATE"]);
}

#[tokio::test]
async fn a_cancellation_of_a_refused_pivot_has_nothing_to_answer() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    ship(&world, How::Refuse).await;
    cancel(&world).await;
    assert_eq!(world.types("o").await, ["NOT_SHIPPED"]);
}

#[tokio::test]
async fn a_second_cancellation_has_nothing_to_answer() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    cancel(&world).await;
    cancel(&world).await;
    assert_eq!(world.types("o").await, ["CANCELLED"]);
}

/// Both in one batch, from two topics: one judge, one answer.
#[tokio::test]
async fn a_race_of_cancellation_and_pivot_has_one_answer() {
    let world = World::new(1).await;
    for n in 0..20 {
        world.send(saga(n), AskShip { key: format!("o-{n}"), how: How::Do });
        world.send(saga(n), Cancel { key: format!("o-{n}") });
    }
    let _trial = world.start().await;
    world.applied().await;
    for n in 0..20 {
        let types = world.types(&format!("o-{n}")).await;
        assert!(types == ["CANCELLED"] || types == ["SHIPPED", "TOO_LATE"], "{n}: {types:?}");
    }
}
