//! P8: a log that the store does not know. Halt; a person decides.

use quadrille::{engine::Config, log::memory::MemoryLog};

use crate::harness::*;

async fn announce(trial: &Instance, text: &str) {
    let Ok(_) =
        trial.client.execute("b", Announce { key: "b".into(), text: text.into() }).await.unwrap();
}

async fn halted(trial: &Instance) -> String {
    until("the halt", || async {
        trial.client.health().reasons.into_iter().find(|reason| reason.starts_with("halted"))
    })
    .await
}

async fn is_refused(trial: &Instance) {
    let refused = trial.client.execute("b", Announce { key: "b".into(), text: "no".into() }).await;
    assert!(
        matches!(&refused, Err(ClientError::Unavailable(why)) if why.contains("halted")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn p08_a_store_that_lost_its_tail_halts() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, "one").await;
    let backup = world.store.inner().fork();
    announce(&first, "two").await;
    world.level().await;
    first.kill().await;
    let log = world.published(0).await;
    world.store.inner().restore(&backup);
    world.leases_expire();

    let trial = world.start().await;
    // One that waits for the comparison, and one that comes after it.
    is_refused(&trial).await;
    let reason = halted(&trial).await;
    assert!(reason.contains("the store has lost committed events"), "{reason}");
    is_refused(&trial).await;
    assert_eq!(world.in_store(0).await.len(), 1, "nothing is appended");
    assert_eq!(world.published(0).await, log, "nothing is published over it");
}

/// ✱ e1 is published; the store fails over without it, and appends e2 (number 1 again) and e3. The
/// numbers look right: only the id at the tail shows that e2 would be lost.
#[tokio::test]
async fn p08_the_same_number_with_another_id_halts() {
    let world = World::new(1).await;
    let first = world.start().await;
    let backup = world.store.inner().fork();
    announce(&first, "e1").await;
    world.level().await;
    first.kill().await;
    let log = world.published(0).await;
    world.store.inner().restore(&backup);
    world.leases_expire();
    let elsewhere = {
        let log = Arc::new(MemoryLog::default());
        let mut config = world.config.clone();
        config.sources = Some(vec![]);
        world.start_between(world.store.clone(), log, config).await.unwrap()
    };
    announce(&elsewhere, "e2").await;
    announce(&elsewhere, "e3").await;
    elsewhere.kill().await;
    world.leases_expire();

    let trial = world.start().await;
    let reason = halted(&trial).await;
    assert!(reason.contains("number 1 is"), "{reason}");
    is_refused(&trial).await;
    assert_eq!(world.published(0).await, log, "e3 does not follow e1");
}

/// The store fails over under a running engine.
#[tokio::test]
async fn p08_a_store_that_loses_its_tail_while_the_engine_runs_halts() {
    let world = World::new(1).await;
    let trial = world.start().await;
    announce(&trial, "one").await;
    let backup = world.store.inner().fork();
    announce(&trial, "two").await;
    world.level().await;
    world.store.inner().restore(&backup);
    let reason = halted(&trial).await;
    assert!(reason.contains("the store has lost committed events"), "{reason}");
    is_refused(&trial).await;
}

async fn say(instance: &Instance, key: &str) {
    let announce = Announce { key: key.into(), text: key.into() };
    let Ok(_) = instance.client.execute(key, announce).await.unwrap();
}

/// A living relay has published e1. Its store fails over without it, to one that has e2 as number 1: nothing
/// breaks, and no number tells.
async fn silent_fail_over(world: &World) -> Instance {
    let trial = world.start().await;
    say(&trial, "e0").await;
    world.level().await;
    let replica = Arc::new(world.store.inner().fork());
    say(&trial, "e1").await;
    world.level().await;
    let elsewhere = {
        let log = Arc::new(MemoryLog::default());
        let mut config = world.config.clone();
        config.sources = Some(vec![]);
        world.start_between(replica.clone(), log, config).await.unwrap()
    };
    say(&elsewhere, "e2").await;
    elsewhere.kill().await;
    world.store.inner().restore(&replica);
    trial
}

/// Nothing that looks by itself will help.
async fn where_nobody_looks() -> World {
    let hour = Duration::from_secs(3600);
    let adapt = |config: &mut Config| {
        config.limits.relay_poll_every = hour;
        config.limits.lease_ttl = hour;
    };
    World::with(1, adapt).await
}

/// ✱ The next event comes from memory and joins by its number; what it follows is another one.
#[tokio::test]
async fn p08_an_event_that_follows_another_one_than_was_published_halts() {
    let world = where_nobody_looks().await;
    let trial = silent_fail_over(&world).await;
    let log = world.published(0).await;
    say(&trial, "e3").await;
    let reason = halted(&trial).await;
    assert!(reason.contains("number 2 is"), "{reason}");
    assert_eq!(world.published(0).await, log, "e3 does not follow e1");
    is_refused(&trial).await;
}

/// ✱ What the next event follows is not known, so that it is read from the store.
#[tokio::test]
async fn p08_a_store_that_is_read_must_have_what_was_published() {
    let world = where_nobody_looks().await;
    let trial = silent_fail_over(&world).await;
    let log = world.published(0).await;
    world.store.script([Fault::UnknownCommitted]);
    say(&trial, "e3").await;
    let reason = halted(&trial).await;
    assert!(reason.contains("number 2 is"), "{reason}");
    assert_eq!(world.published(0).await, log, "e3 does not follow e1");
}

/// ✱ Nothing is appended any more, and the numbers are level.
#[tokio::test]
async fn p08_a_quiet_relay_notices_that_the_store_has_another_event() {
    let world = World::new(1).await;
    let trial = silent_fail_over(&world).await;
    let reason = halted(&trial).await;
    assert!(reason.contains("number 2 is"), "{reason}");
}

/// A consumer compares the id that it stored with its position: the log was replaced.
#[tokio::test]
async fn p08_a_consumer_notices_another_event_under_its_last_number() {
    let world = World::new(1).await;
    let note = |text: &str| Note { key: "o".into(), text: text.into(), how: How::Do };
    let first = world.start().await;
    let source = world.send(saga(1), note("one")).source;
    world.send(saga(1), note("two"));
    world.applied().await;
    first.kill().await;

    world.log.recreate_topic(&world.topic("up"));
    world.skip_to(&source, 0);
    for text in ["one", "another two", "three"] {
        world.send(saga(1), note(text));
    }
    let trial = world.start().await;
    let stopped = until("the lane to stop", || async { trial.client.stopped_lanes().pop() }).await;
    assert_eq!(stopped.0, source);
    assert!(stopped.1.contains("another event than"), "{}", stopped.1);
    // The other topic goes on.
    world.send(saga(1), RivalNote { key: "o".into(), text: "rival".into() });
    until_true("the other lane", || async { world.types("o").await.len() == 3 }).await;
    let texts: Vec<_> = world.all::<Noted>("o").await.into_iter().map(|noted| noted.text).collect();
    assert_eq!(texts, ["one", "two", "rival"]);
}
