//! P9: a lease says who publishes; the epoch keeps everyone else from it.

use quadrille::testing::faulty_store::ShardStep;

use crate::harness::*;

async fn announce(trial: &Instance, count: usize) {
    for n in 0..count {
        let key = format!("b-{}", n % 5);
        let announce = Announce { key: key.clone(), text: n.to_string() };
        let Ok(_) = trial.client.execute(&*key, announce).await.unwrap();
    }
}

#[tokio::test]
async fn p09_of_two_relays_with_one_shard_one_publishes() {
    let world = World::new(2).await;
    let (one, two) = (world.start().await, world.beside().await);
    announce(&one, 10).await;
    announce(&two, 10).await;
    world.level().await;
    assert_eq!(one.client.counters().events_published, 20);
    assert_eq!(two.client.counters().events_published, 0);
}

#[tokio::test]
async fn p09_an_expired_lease_goes_to_another_instance() {
    let world = World::new(2).await;
    let (one, two) = (world.start().await, world.beside().await);
    announce(&one, 5).await;
    world.level().await;
    one.kill().await;
    announce(&two, 5).await;
    world.level().await;
    assert_eq!(two.client.counters().events_published, 5);
}

/// The holder stops in the middle of a transaction, as a stopped process does; its lease expires; another
/// one publishes. When it wakes up, its epoch is an old one.
#[tokio::test]
async fn p09_a_holder_that_wakes_up_late_is_fenced() {
    let world = World::new(1).await;
    let broker = Broker::of(&world);
    let one = world.start().await;
    announce(&one, 1).await;
    world.level().await;
    broker.hold("t.trial.relay.0");
    announce(&one, 3).await;
    until_true("the commit", || async { broker.held_up() == 1 }).await;
    broker.hold_no_more();
    world.leases_expire();
    let two = world.beside().await;
    until_true("the second relay", || async { two.client.counters().events_published == 3 }).await;
    broker.resume();
    announce(&two, 3).await;
    world.level().await;
    assert_eq!(
        one.client.counters().events_published,
        1,
        "its transaction was not its own any more"
    );
}

/// Lanes move to fewer shards while the old holder of one of them is in the middle of a transaction.
#[tokio::test]
async fn p09_changing_the_shards_fences_all_old_ids() {
    let world = World::with(2, |config| config.shards = 2).await;
    let broker = Broker::of(&world);
    let old = world.start().await;
    announce(&old, 10).await;
    world.level().await;
    broker.hold("t.trial.relay.1");
    announce(&old, 10).await;
    until_true("the commit", || async { broker.held_up() == 1 }).await;
    broker.hold_no_more();
    world.leases_expire();
    let new = world.start_with(|config| config.shards = 1).await;
    announce(&new, 10).await;
    world.all_published().await;
    broker.resume();
    announce(&old, 10).await;
    world.level().await;
}

/// Whoever changes the number of shards dies at each of its steps in turn. The relays of the old map have
/// looked at the map again by then, and may have begun anew. What comes next finishes the change.
#[tokio::test]
async fn p09_a_death_while_the_shards_change_leaves_no_old_holder_behind() {
    for step in [ShardStep::Close, ShardStep::Closed, ShardStep::Open, ShardStep::Opened] {
        let world = World::with(2, |config| config.shards = 2).await;
        let old = world.start_on(world.store.inner().clone(), 2).await;
        announce(&old, 10).await;
        world.level().await;
        change_and_die(&world, &old, step).await;

        let last = world.start_on(world.store.inner().clone(), 1).await;
        for _ in 0..5 {
            announce(&old, 6).await;
            announce(&last, 6).await;
            world.leases_expire();
        }
        world.level().await;
        let published = old.client.counters().events_published;
        announce(&old, 6).await;
        world.level().await;
        assert_eq!(old.client.counters().events_published, published, "{step:?}");
    }
}

/// Goes as far as this step, slowly, and no further.
async fn change_and_die(world: &World, old: &Instance, step: ShardStep) {
    let mut config = world.config.clone();
    config.shards = 1;
    config.sources = Some(vec![]);
    let first = if step == ShardStep::Opened { ShardStep::Open } else { step };
    world.store.hold_shards_at(Some(first));
    let log = Arc::new(world.log.clone());
    let mut starting = std::pin::pin!(world.start_between(world.store.clone(), log, config));
    tokio::select! {
        _ = &mut starting => panic!("it is held up"),
        () = world.store.shards_are_held_at(first) => {}
    }
    // The old relays are fenced, and look at the map again.
    let published = old.client.counters().events_published;
    announce(old, 6).await;
    until_true("the old relays to begin anew, or to stand back", || async {
        let reasons = old.client.health().reasons;
        reasons.iter().any(|reason| reason.contains("being spread"))
            || old.client.counters().events_published >= published + 6
    })
    .await;
    if step == ShardStep::Opened {
        world.store.hold_shards_at(Some(step));
        tokio::select! {
            _ = &mut starting => panic!("it is held up"),
            () = world.store.shards_are_held_at(step) => {}
        }
    }
}

/// Two that want different numbers at the same time: one of them has its way, and the map is open.
#[tokio::test]
async fn p09_of_two_changes_at_once_the_last_to_begin_counts() {
    let world = World::with(4, |config| config.shards = 1).await;
    let old = world.start().await;
    announce(&old, 4).await;
    world.level().await;
    world.store.hold_shards_at(Some(ShardStep::Open));
    let slow = {
        let mut config = world.config.clone();
        config.shards = 2;
        world.start_between(world.store.clone(), Arc::new(world.log.clone()), config)
    };
    let mut slow = std::pin::pin!(slow);
    tokio::select! {
        _ = &mut slow => panic!("it is held up"),
        () = world.store.shards_are_held_at(ShardStep::Open) => {}
    }
    let quick = world.start_on(world.store.inner().clone(), 4).await;
    announce(&quick, 8).await;
    world.level().await;
    world.store.hold_shards_at(None);
    let slow = slow.await.unwrap();
    world.leases_expire();
    announce(&slow, 8).await;
    announce(&quick, 8).await;
    world.level().await;
    until_true("the other one to stand back", || async {
        quick.client.health().reasons.iter().any(|reason| reason.contains("2 shards"))
    })
    .await;
}

/// An instance that was started with the old number of shards goes on appending, and publishes no more.
#[tokio::test]
async fn p09_an_instance_with_the_old_shards_publishes_no_more() {
    let world = World::with(3, |config| config.shards = 1).await;
    let _broker = Broker::of(&world);
    let old = world.start().await;
    announce(&old, 10).await;
    world.level().await;
    let new = world.start_with(|config| config.shards = 3).await;
    for _ in 0..10 {
        announce(&old, 5).await;
        announce(&new, 5).await;
        world.leases_expire();
    }
    world.level().await;
    let published = old.client.counters().events_published;
    announce(&old, 10).await;
    world.level().await;
    assert_eq!(old.client.counters().events_published, published);
    assert!(
        old.client.health().reasons.iter().any(|r| r.contains("3 shards")),
        "{:?}",
        old.client.health()
    );
}
