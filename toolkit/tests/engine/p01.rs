//! P1: one transaction per batch, decided on an overlay; nothing is heard of it before it is durable.

use crate::harness::*;

/// The append fails: neither the position nor the events are there. Then all of it is, together.
#[tokio::test]
async fn p01_position_and_events_commit_together_or_not_at_all() {
    let world = World::new(1).await;
    world.store.script([Fault::Unavailable; 5]);
    let sent: Vec<_> = (0..5)
        .map(|n| {
            world.send(saga(n), Note { key: format!("o-{n}"), text: "hi".into(), how: How::Do })
        })
        .collect();
    let _trial = world.start().await;
    until_true("an append that failed", || async { world.store.appends() > 0 }).await;
    // Whenever one looks, the position says how many events there are.
    let last = sent.last().unwrap();
    until_true("the last message", || async {
        let (stored, position) = (world.stored().await.len() as u64, world.positions().await);
        assert_eq!(position.get(&last.source).copied().unwrap_or(0), stored);
        stored == last.seq
    })
    .await;
    let seen = world.store.seen();
    let full =
        seen.iter().find(|append| append.events.len() == 5).expect("one append for the batch");
    assert_eq!((full.positions[0].from, full.positions[0].to), (0, 5));
}

/// m1 reserves the last piece and then fails: m2 must not be refused because of it.
#[tokio::test]
async fn p01_a_failed_handler_leaves_nothing_that_others_could_see() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", Fill(1)).await.unwrap();
    world.send(saga(1), Take { key: "m1".into(), sku: "sku".into(), how: How::Terminal });
    world.send(saga(2), Take { key: "m2".into(), sku: "sku".into(), how: How::Do });
    world.applied().await;
    assert_eq!(world.types("m2").await, ["TOOK"], "a false refusal");
    assert_eq!(world.the_dead().await.key.as_ref(), "m1");
    assert!(world.types("m1").await.is_empty());
    let both = world
        .store
        .seen()
        .into_iter()
        .any(|a| a.positions.iter().any(|p| p.to == 2 && p.from == 0));
    assert!(both, "else this tests nothing: they were not in one batch");
}

/// Three for two pieces in one batch: each sees what the ones before it have taken.
#[tokio::test]
async fn p01_a_message_sees_what_the_finished_ones_before_it_decided() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", Fill(2)).await.unwrap();
    for n in 1..=3 {
        world.send(saga(n), Take { key: format!("m{n}"), sku: "sku".into(), how: How::Do });
    }
    world.applied().await;
    let all: Vec<_> = world.stored().await.iter().map(|e| e.event_type.to_string()).collect();
    assert_eq!(all, ["TOOK", "TOOK", "SOLD_OUT"]);
    assert_eq!(world.all::<Took>("m2").await[0].left, 0);
    assert_eq!(trial.client.counters().conflicts, 0, "they are decided on the overlay");
    let one = world.store.seen().into_iter().any(|append| append.events.len() == 5);
    assert!(one, "else this tests nothing: they were not in one batch");
}

/// While one append is committing, the next batch is decided on its overlay. It fails: the batch on top
/// is decided again, and no answer has left, a refusal least of all.
#[tokio::test]
async fn p01_what_was_decided_on_a_failed_commit_is_decided_again() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", Fill(1)).await.unwrap();

    world.store.hold();
    let client = trial.client.clone();
    let first = tokio::spawn(async move { client.execute("sku", TakeOne).await });
    until_true("the first append", || async { world.store.held_up() == 1 }).await;
    let client = trial.client.clone();
    let second = tokio::spawn(async move { client.execute("sku", TakeOne).await });
    tokio::task::yield_now().await;
    world.send(saga(1), Take { key: "m".into(), sku: "sku".into(), how: How::Do });
    until_true("the decision on top", || async { world.script.calls("TAKE", "m") == 1 }).await;
    assert!(!first.is_finished() && !second.is_finished(), "no answer before it is durable");
    assert!(world.stored().await.is_empty());

    // Another instance fills up meanwhile: the first append meets a conflict.
    let other = world.beside().await;
    let Ok(_) = other.client.execute("sku", Fill(2)).await.unwrap();
    world.store.resume();
    first.await.unwrap().unwrap().expect("one piece was there all the time");
    second.await.unwrap().unwrap().expect("decided again: a refusal would be false");
    world.applied().await;
    assert_eq!(world.types("m").await, ["TOOK"], "decided again: a refusal would be false");
    assert_eq!(trial.client.counters().conflicts, 1);
}

/// Decisions overlap a commit: what is being committed counts already, and nothing conflicts.
#[tokio::test]
async fn p01_a_batch_is_decided_on_what_is_being_committed() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let Ok(_) = trial.client.execute("sku", Fill(1)).await.unwrap();
    world.store.hold();
    world.send(saga(1), Take { key: "m1".into(), sku: "sku".into(), how: How::Do });
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    world.send(saga(2), Take { key: "m2".into(), sku: "sku".into(), how: How::Do });
    until_true("the decision on top", || async { world.script.calls("TAKE", "m2") == 1 }).await;
    world.store.resume();
    world.applied().await;
    assert_eq!(world.types("m1").await, ["TOOK"]);
    assert_eq!(world.types("m2").await, ["SOLD_OUT"]);
    let calls = (world.script.calls("TAKE", "m1"), world.script.calls("TAKE", "m2"));
    assert_eq!((calls, trial.client.counters().conflicts), ((1, 1), 0));
}

/// A refusal rests on what was read: it waits for the commit, as a success does.
#[tokio::test]
async fn p01_a_refusal_is_not_answered_before_what_it_rests_on_is_durable() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.store.hold();
    let client = trial.client.clone();
    let refused = tokio::spawn(async move { client.execute("sku", TakeOne).await });
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    assert!(!refused.is_finished());
    world.store.resume();
    assert_eq!(refused.await.unwrap().unwrap(), Err(NothingLeft));
}
