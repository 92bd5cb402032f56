//! P10: what was read is checked at the commit, also by who records nothing; conflicts decide again.

use std::collections::HashSet;

use crate::harness::*;

#[tokio::test]
async fn p10_a_conflict_reloads_and_decides_again() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", Fill(1)).await.unwrap();
    world.store.hold();
    world.send(saga(1), Take { key: "m".into(), sku: "sku".into(), how: How::Do });
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    // The last piece goes to someone else.
    let other = world.beside().await;
    other.client.execute("sku", TakeOne).await.unwrap().unwrap();
    world.store.resume();
    world.applied().await;
    assert_eq!(world.types("m").await, ["SOLD_OUT"], "the old decision is void");
    assert_eq!(trial.client.counters().conflicts, 1);
    assert_eq!(trial.client.load::<Stock>("sku").await.unwrap().unwrap().available, 0);
}

/// What is appended after a conflict was decided after it: not one event of a failed append comes again.
#[tokio::test]
async fn p10_old_decisions_are_never_appended_again() {
    let world = World::new(1).await;
    world.store.script([Fault::Conflict, Fault::Conflict, Fault::Conflict]);
    (0..5).for_each(|n| {
        let key = format!("o-{n}");
        drop(world.send(saga(1), Note { key, text: String::new(), how: How::Do }));
    });
    let trial = world.start().await;
    world.applied().await;
    assert_eq!(trial.client.counters().conflicts, 3);
    let mut ids = HashSet::new();
    for append in world.store.seen() {
        for event in &append.events {
            assert!(ids.insert(event.id), "{} was appended again", event.id);
        }
    }
    assert_eq!(ids.len(), 20);
    assert_eq!(world.stored().await.len(), 5);
}

/// ✱ A caches PENDING; B changes it; A, still seeing PENDING, has nothing to do. Were its read not
/// checked, its position would move, and nobody would ever answer.
#[tokio::test]
async fn p10_who_only_reads_is_decided_again_too() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", SetStatus("PENDING")).await.unwrap();
    world.send(saga(1), Look { key: "first".into(), sku: "sku".into() });
    world.applied().await;
    let other = world.beside().await;
    let Ok(_) = other.client.execute("sku", SetStatus("CANCELLATION")).await.unwrap();
    world.send(saga(1), Look { key: "second".into(), sku: "sku".into() });
    world.applied().await;
    assert!(world.types("first").await.is_empty());
    assert_eq!(world.all::<Looked>("second").await[0].status, "CANCELLATION");
    assert_eq!(
        world.script.calls("LOOK", "second"),
        2,
        "else this tests nothing: it was not cached"
    );
}

/// A failure rests on a read as well: here another instance has written meanwhile what lets it succeed.
#[tokio::test]
async fn p10_a_failure_on_an_old_state_is_decided_again() {
    let world = World::new(1).await;
    let _both = world.behind().await;
    world.send(saga(1), Look { key: "o-1".into(), sku: "sku".into() });
    world.applied().await;
    assert!(world.held(HeldState::Dead).await.is_empty(), "dead for what is no longer so");
    assert_eq!(world.all::<Looked>("o-1").await[0].status, "OPEN");
    assert_eq!(world.script.calls("LOOK", "o-1"), 2, "else this tests nothing: it was not cached");
}

/// A refusal rests on a read as well.
#[tokio::test]
async fn p10_a_refusal_on_an_old_state_is_not_given() {
    let world = World::new(1).await;
    let trial = world.start().await;
    assert_eq!(trial.client.execute("sku", TakeOne).await.unwrap(), Err(NothingLeft));
    let other = world.beside().await;
    let Ok(_) = other.client.execute("sku", Fill(1)).await.unwrap();
    trial.client.execute("sku", TakeOne).await.unwrap().expect("there is one now");
}

/// Two instances at the same stock: no piece is sold twice, none is left.
#[tokio::test]
async fn p10_two_instances_never_sell_a_piece_twice() {
    let world = World::new(1).await;
    let (one, two) = (world.start().await, world.beside().await);
    let Ok(_) = one.client.execute("sku", Fill(30)).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for n in 0..40 {
        let client = if n % 2 == 0 { one.client.clone() } else { two.client.clone() };
        takers.spawn(async move { client.execute("sku", TakeOne).await.unwrap() });
    }
    let answers = takers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 30);
    assert_eq!(one.client.load::<Stock>("sku").await.unwrap().unwrap().available, 0);
}

/// After a few conflicts in a row the stream's lock is taken first: here another instance holds it, and
/// nothing is appended until it lets go.
#[tokio::test]
async fn p10_a_stream_that_is_fought_over_is_locked_first() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", Fill(1)).await.unwrap();
    let (lock, ttl) = ("stream/stock/sku", Duration::from_secs(60));
    assert!(world.store.lease(lock, "another", ttl).await.unwrap().is_some());
    world.store.script([Fault::Conflict, Fault::Conflict, Fault::Conflict]);
    let client = trial.client.clone();
    let taking = tokio::spawn(async move { client.execute("sku", TakeOne).await.unwrap() });
    until_true("the third conflict", || async { trial.client.counters().conflicts == 3 }).await;
    let before = world.store.appends();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.appends(), before, "the lock is someone else's");
    assert!(!taking.is_finished());
    world.store.release(lock, "another").await.unwrap();
    taking.await.unwrap().expect("it is there");
    until_true("the lock is free again", || async {
        world.store.lease(lock, "a third", ttl).await.unwrap().is_some()
    })
    .await;
}
