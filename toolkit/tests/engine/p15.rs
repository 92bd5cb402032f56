//! P15: nothing is visible before it is durable.

use std::collections::HashSet;

use crate::harness::*;

#[tokio::test]
async fn p15_nothing_is_published_or_answered_before_the_append_is_durable() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) =
        trial.client.execute("b", Announce { key: "b".into(), text: "0".into() }).await.unwrap();
    world.level().await;
    world.store.hold();
    let client = trial.client.clone();
    let announced = tokio::spawn(async move {
        client.execute("b", Announce { key: "b".into(), text: "1".into() }).await
    });
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    // The relay has had many occasions.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.published(0).await.len(), 1);
    assert!(!announced.is_finished());
    world.store.resume();
    announced.await.unwrap().unwrap().unwrap();
    world.level().await;
}

/// Whatever the store does: at every moment, what the log shows is in the store.
#[tokio::test]
async fn p15_a_reader_of_the_log_never_sees_what_the_store_does_not_have() {
    let world = World::new(2).await;
    let trial = world.start().await;
    for fault in [Fault::UnknownLost, Fault::Unavailable, Fault::UnknownCommitted, Fault::Conflict]
    {
        for _ in 0..10 {
            world.store.script([fault, Fault::Pass]);
        }
    }
    let client = trial.client.clone();
    let announcing = tokio::spawn(async move {
        for n in 0..60 {
            let key = format!("b-{}", n % 5);
            let announce = Announce { key: key.clone(), text: n.to_string() };
            let Ok(_) = client.execute(&*key, announce).await.unwrap();
        }
    });
    let mut looks = 0;
    while !announcing.is_finished() || looks < 2 {
        let mut seen = vec![];
        for lane in 0..2 {
            seen.extend(world.published(lane).await);
        }
        let stored: HashSet<_> = world.stored().await.into_iter().map(|event| event.id).collect();
        assert!(seen.iter().all(|(_, id)| stored.contains(id)));
        looks += 1;
        tokio::task::yield_now().await;
    }
    announcing.await.unwrap();
    world.level().await;
}

/// A failure on an old state is decided again and was none: nobody is to read of a dead message that never was.
#[tokio::test]
async fn p15_a_failure_is_told_only_once_it_is_durable() {
    let said = Said::listen();
    let world = World::new(1).await;
    let (trial, _other) = world.behind().await;
    world.send(saga(1), Look { key: "o-1".into(), sku: "sku".into() });
    world.applied().await;
    assert_eq!(world.script.calls("LOOK", "o-1"), 2, "else this tests nothing: it was not cached");
    assert_eq!(said.count("message failed"), 0);

    let Ok(_) = trial.client.execute("sku", SetStatus("FORBIDDEN")).await.unwrap();
    world.send(saga(2), Look { key: "o-2".into(), sku: "sku".into() });
    until_true("the dead message", async || !world.held(HeldState::Dead).await.is_empty()).await;
    assert_eq!(said.count("message failed"), 1);
}
