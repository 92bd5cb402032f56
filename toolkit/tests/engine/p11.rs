//! P11: the order of one key, through handlers, failures and changes of owner.

use crate::harness::*;

fn note(key: &str, text: impl ToString, how: How) -> Note {
    Note { key: key.into(), text: text.to_string(), how }
}

async fn texts(world: &World, key: &str) -> Vec<String> {
    world.all::<Noted>(key).await.into_iter().map(|noted| noted.text).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn p11_events_of_a_key_are_handled_and_published_in_order() {
    let world = World::with(2, |config| config.limits.batch_works_max = 7).await;
    let _trial = world.start().await;
    for n in 0..60 {
        world.send(saga(1), note(&format!("o-{}", n % 3), n / 3, How::Do));
    }
    world.applied().await;
    world.level().await;
    for key in ["o-0", "o-1", "o-2"] {
        assert_eq!(texts(&world, key).await, numbers(0..20));
    }
}

/// The first one needs more loads than the second: it comes first all the same.
#[tokio::test]
async fn p11_a_message_does_not_overtake_one_of_its_key_that_takes_longer() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), AskCharge { key: "o".into(), account: "acc".into() });
    world.send(saga(1), note("o", 1, How::Do));
    world.applied().await;
    assert_eq!(world.types("o").await, ["CHARGED", "NOTED"]);
}

/// While a message is parked, the later ones of its key wait; other keys of the lane, and the same key of
/// another topic, do not.
#[tokio::test]
async fn p11_a_parked_message_holds_back_its_key_and_nothing_else() {
    let world = World::with(1, |config| {
        config.retry.delay_first = Duration::from_secs(60);
        config.retry.delay_max = Duration::from_secs(60);
    })
    .await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", 0, How::Fail));
    world.send(saga(1), note("o", 1, How::Do));
    world.send(saga(1), note("other", 0, How::Do));
    world.send(saga(1), RivalNote { key: "o".into(), text: "rival".into() });
    world.applied().await;
    world.send(saga(1), note("o", 2, How::Do));
    world.send(saga(1), RivalNote { key: "o".into(), text: "rival again".into() });
    world.applied().await;
    let rival = ["rival", "rival again"];
    assert_eq!(texts(&world, "o").await, rival, "the key waits, in its own topic only");
    assert_eq!(texts(&world, "other").await, ["0"]);
    let waiting: Vec<u64> = world.held(HeldState::Waiting).await.iter().map(|m| m.seq).collect();
    assert_eq!(waiting, [2, 4]);
    assert_eq!(world.held(HeldState::Parked).await[0].seq, 1);
}

#[tokio::test]
async fn p11_a_dead_message_holds_back_its_key_and_nothing_else() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", 0, How::Terminal));
    world.send(saga(1), note("o", 1, How::Do));
    world.send(saga(1), note("other", 0, How::Do));
    world.send(saga(1), RivalNote { key: "o".into(), text: "rival".into() });
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["rival"]);
    assert_eq!(texts(&world, "other").await, ["0"]);
    assert_eq!(world.held(HeldState::Waiting).await[0].seq, 2);
    assert_eq!(world.the_dead().await.seq, 1);
}

#[tokio::test]
async fn p11_what_waited_is_handled_in_order_after_the_retry() {
    let world = World::with(1, |config| config.limits.retry_messages_max = 2).await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", 0, How::FailTimes(3)));
    (1..8).for_each(|n| drop(world.send(saga(1), note("o", n, How::Do))));
    world.applied().await;
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, numbers(0..8));
}

/// Messages keep coming while their key is parked, retried and released: at every moment of it.
#[tokio::test]
async fn p11_messages_that_come_during_a_retry_keep_their_place() {
    let world = World::with(1, |config| {
        config.limits.retry_messages_max = 3;
        config.retry.delay_first = Duration::from_micros(200);
    })
    .await;
    let _trial = world.start().await;
    for n in 0..300 {
        // One in fifty fails twice, so that the key is held again and again.
        let how = if n % 50 == 0 { How::FailTimes(n / 50 * 2 + 2) } else { How::Do };
        world.send(saga(1), note("o", n, how));
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    world.applied().await;
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, numbers(0..300));
    world.level().await;
}

/// A retry comes one to two seconds after the failure: later than what a test does in between.
async fn world_with_late_retries() -> World {
    World::with(1, |config| {
        config.retry.delay_first = Duration::from_secs(2);
        config.retry.delay_max = Duration::from_secs(2);
    })
    .await
}

/// A retry is loaded while the append that puts another message behind it is on its way: the key is not free
/// when the retry succeeds.
#[tokio::test]
async fn p11_a_retry_that_does_not_know_the_last_follower_leaves_the_key_held() {
    let world = world_with_late_retries().await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", 0, How::FailTimes(1)));
    world.applied().await;
    world.store.hold();
    world.send(saga(1), note("o", 1, How::Do));
    until_true("the append of the follower", || async { world.store.held_up() == 1 }).await;
    assert_eq!(world.script.calls("NOTE", "o"), 1, "the follower comes before the retry");
    until_true("the retry", || async { world.script.calls("NOTE", "o") == 2 }).await;
    world.store.resume();
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["0", "1"]);
}

/// A retry is loaded after its follower was decided, and before anybody knows of it but the batch: the key is not free
/// when the retry succeeds in that batch.
#[tokio::test]
async fn p11_a_retry_leaves_the_key_to_a_follower_in_its_own_batch() {
    let world = world_with_late_retries().await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", 0, How::FailTimes(1)));
    world.applied().await;
    world.store.hold();
    // While its append is on its way, what comes is decided in one batch behind it.
    world.send(saga(2), note("p", 0, How::Do));
    until_true("an append", || async { world.store.held_up() == 1 }).await;
    world.send(saga(1), note("o", 1, How::Do));
    until_true("the retry", || async { world.script.calls("NOTE", "o") == 2 }).await;
    world.store.resume();
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["0", "1"]);
}

/// ✱ Position and parked messages are loaded together: else the new owner would handle the second
/// message, which its position leads it to, before the first, which is parked.
#[tokio::test]
async fn p11_a_new_owner_knows_what_is_parked() {
    let world = world_with_late_retries().await;
    let first = world.start().await;
    world.send(saga(1), note("o", 0, How::FailTimes(1)));
    world.applied().await;
    assert_eq!(world.held(HeldState::Parked).await.len(), 1);
    first.kill().await;
    let second = world.start().await;
    world.send(saga(1), note("o", 1, How::Do));
    world.applied().await;
    assert_eq!(world.held(HeldState::Waiting).await.len(), 1, "it waits behind the parked one");
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["0", "1"]);
    assert_eq!(second.client.counters().messages_applied, 2);
}

/// As many keys are held as may be: the lane waits, and goes on when there is room again.
#[tokio::test]
async fn p11_a_lane_with_too_many_held_keys_waits_and_loses_nothing() {
    let world = World::with(1, |config| config.limits.held_keys_max = 3).await;
    let _trial = world.start().await;
    for n in 0..20 {
        world.send(saga(1), note(&format!("o-{n}"), 0, How::FailTimes(2)));
    }
    world.applied().await;
    world.nothing_parked().await;
    for n in 0..20 {
        assert_eq!(texts(&world, &format!("o-{n}")).await, ["0"]);
    }
}

/// More keys are held than the lane may hold: what was on its way counts too. A new owner knows them all.
#[tokio::test]
async fn p11_a_new_owner_knows_all_keys_that_are_held() {
    let world = World::with(1, |config| {
        config.limits.held_keys_max = 3;
        // All ten are to be seen parked, on a machine that does much else.
        config.retry.delay_first = Duration::from_secs(2);
        config.retry.delay_max = Duration::from_secs(2);
    })
    .await;
    let first = world.start().await;
    for n in 0..10 {
        world.send(saga(1), note(&format!("o-{n}"), 0, How::FailTimes(1)));
    }
    world.applied().await;
    assert_eq!(world.held(HeldState::Parked).await.len(), 10, "else this tests nothing");
    first.kill().await;
    let _second = world.start().await;
    for n in 0..10 {
        world.send(saga(1), note(&format!("o-{n}"), 1, How::Do));
    }
    world.applied().await;
    world.nothing_parked().await;
    for n in 0..10 {
        assert_eq!(texts(&world, &format!("o-{n}")).await, ["0", "1"]);
    }
}

/// A message that cannot be read, but whose key can, keeps its place in the key's order.
#[tokio::test]
async fn p11_an_unreadable_message_keeps_its_place() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", 0, How::FailTimes(1)));
    let (source, _, _, mut unreadable) = world.next(saga(1), &note("o", 1, How::Do));
    unreadable.headers.retain(|header| header.name != "ce_type");
    world.put(&source, unreadable);
    world.send(saga(1), note("o", 2, How::Do));
    world.applied().await;
    until_true("the retry", || async { world.held(HeldState::Parked).await.is_empty() }).await;
    world.send(saga(1), note("o", 3, How::Do));
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["0"], "what follows the unreadable one waits");
    assert_eq!(world.the_dead().await.seq, 2);
    let waiting: Vec<u64> = world.held(HeldState::Waiting).await.iter().map(|m| m.seq).collect();
    assert_eq!(waiting, [3, 4]);
}
