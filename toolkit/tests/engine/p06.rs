//! P6: the relay's position is the log's own tail.

use quadrille::log::record::{ServiceIdentity, encode};

use crate::harness::*;

async fn announce(trial: &Instance, count: usize) {
    for n in 0..count {
        let announce = Announce { key: "b".into(), text: n.to_string() };
        let Ok(_) = trial.client.execute("b", announce).await.unwrap();
    }
}

/// An engine that is killed again and again in the middle of publishing.
#[tokio::test]
async fn p06_a_relay_goes_on_at_the_tail_after_a_crash() {
    let world = World::with(2, |config| config.limits.relay_records_max = 3).await;
    let broker = Broker::of(&world);
    for round in 0..12 {
        let trial = world.start().await;
        for n in 0..5 {
            let key = format!("b-{n}");
            let Ok(_) = trial
                .client
                .execute(&*key.clone(), Announce { key, text: String::new() })
                .await
                .unwrap();
        }
        // A different step each time.
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        trial.kill().await;
        world.leases_expire();
    }
    let trial = world.start().await;
    announce(&trial, 1).await;
    world.level().await;
    let epochs = broker.seen(PublishStep::Begin).last().unwrap().epoch;
    assert!(epochs >= 12, "every start takes a new epoch: {epochs}");
}

/// A broker that dies between the decision and its marks may forget one. Nothing ends such a transaction, and no
/// reader sees what comes behind it.
#[tokio::test]
async fn p06_a_transaction_that_hangs_is_aborted_and_its_events_come_again() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 1).await;
    world.level().await;
    assert_eq!(first.client.counters().relay_hanging, 0);
    let id = world.topic("trial").replace(".events", ".relay.0");
    world.log.lose_mark(&id, Lane(0));
    announce(&first, 1).await;
    until_true("the lost mark", || async { first.client.counters().events_published == 2 }).await;
    assert_eq!(world.published(0).await.len(), 1, "it hangs: nobody sees it");
    first.kill().await;
    world.leases_expire();

    let second = world.start().await;
    announce(&second, 1).await;
    world.level().await;
    assert_eq!(second.client.counters().relay_hanging, 1);
    assert_eq!(world.published(0).await.len(), 3);
}

/// What another producer has open is not ours to end: it is waited for, and the trouble names what a person can do.
#[tokio::test]
async fn p06_what_another_producer_has_open_is_waited_for() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 1).await;
    world.level().await;
    first.kill().await;
    world.leases_expire();
    let (topic, stranger) = (world.topic("trial"), world.log.init_producer("stranger"));
    let stored = world.store.read_lane(Lane(0), 0, 1).await.unwrap().remove(0);
    let record = encode(&ServiceIdentity::new("stranger"), &stored).unwrap();
    world.log.begin(&stranger, &topic, &[Lane(0)]).unwrap();
    world.log.produce(&stranger, &topic, record).unwrap();

    let second = world.start().await;
    until_true("the trouble", || async {
        second.client.health().reasons.iter().any(|text| text.contains("find-hanging"))
    })
    .await;
    world.log.end(&stranger, false).unwrap();
    announce(&second, 1).await;
    world.level().await;
    assert_eq!(world.published(0).await.len(), 2);
}

/// Records that are not ours, more than the first look takes in, one with a number that is not ours.
#[tokio::test]
async fn p06_foreign_records_at_the_tail_are_stepped_over() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 3).await;
    world.level().await;
    first.kill().await;
    world.leases_expire();
    let mut stranger = world.store.read_lane(Lane(0), 0, 1).await.unwrap().remove(0);
    stranger.published.as_mut().unwrap().lane_seq = 77;
    stranger.id = EventId(uuid::Uuid::from_u128(77));
    let source = SourceLane { topic: world.topic("trial"), lane: Lane(0) };
    for _ in 0..10 {
        world.put(&source, encode(&ServiceIdentity::new("stranger"), &stranger).unwrap());
    }
    let second = world.start().await;
    announce(&second, 3).await;
    world.level().await;
    assert_eq!(world.lane_of_log(0).await.len(), 16);
}

/// Retention took everything; the floor says how far it was published.
#[tokio::test]
async fn p06_an_emptied_partition_goes_on_at_its_floor() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 5).await;
    assert!(first.shutdown(DEADLINE).await);
    world.level().await;
    empty(&world);
    let second = world.start().await;
    announce(&second, 2).await;
    world.all_published().await;
    assert_eq!(world.published(0).await, world.in_store(0).await[5..], "nothing again");
}

/// The same after a crash: floors are written while the relay runs, also when it has little to do.
#[tokio::test]
async fn p06_a_floor_is_written_long_before_it_is_needed() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 5).await;
    let floor = until("a floor", || async {
        world.store.floor(Lane(0)).await.unwrap().filter(|floor| floor.lane_seq == 5)
    })
    .await;
    first.kill().await;
    world.leases_expire();
    assert_eq!(Some(floor.end_offset), end(&world));
    empty(&world);
    let second = world.start().await;
    announce(&second, 2).await;
    world.all_published().await;
    assert_eq!(world.published(0).await, world.in_store(0).await[5..], "nothing again");
}

#[tokio::test]
async fn p06_a_new_topic_gets_everything_again() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 5).await;
    assert!(first.shutdown(DEADLINE).await);
    world.level().await;
    world.log.recreate_topic(&world.topic("trial"));
    let second = world.start().await;
    world.level().await;
    announce(&second, 2).await;
    world.level().await;
    assert_eq!(world.published(0).await.len(), 7);
}

/// ✱ A new topic that is empty again, and ends where the old one did: by its end alone, the floor would
/// skip everything.
#[tokio::test]
async fn p06_a_floor_counts_for_its_own_topic_only() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 5).await;
    assert!(first.shutdown(DEADLINE).await);
    let floor = world.store.floor(Lane(0)).await.unwrap().unwrap();
    world.log.recreate_topic(&world.topic("trial"));
    let source = SourceLane { topic: world.topic("trial"), lane: Lane(0) };
    let (_, _, _, foreign) = world.next(saga(1), &Alien { key: "o".into() });
    for _ in 0..floor.end_offset {
        world.put(&source, foreign.clone());
    }
    empty(&world);
    assert_eq!(end(&world), Some(floor.end_offset), "else this tests nothing");
    let _second = world.start().await;
    world.level().await;
    assert_eq!(world.published(0).await.len(), 5);
}

#[tokio::test]
async fn p06_an_emptied_partition_without_a_floor_halts() {
    let world = World::with(1, |config| config.limits.lease_ttl = Duration::from_secs(600)).await;
    let first = world.start().await;
    announce(&first, 5).await;
    world.level().await;
    first.kill().await;
    world.leases_expire();
    assert_eq!(world.store.floor(Lane(0)).await.unwrap(), None, "else this tests nothing");
    empty(&world);
    halts(&world, "before a floor was written").await;
}

/// A floor that lags: going on from it would publish again what retention has taken since.
#[tokio::test]
async fn p06_an_emptied_partition_that_has_grown_since_its_floor_halts() {
    let world = World::with(1, |config| config.limits.lease_ttl = Duration::from_secs(600)).await;
    let first = world.start().await;
    announce(&first, 5).await;
    assert!(first.shutdown(DEADLINE).await);
    let second = world.start().await;
    announce(&second, 5).await;
    world.level().await;
    second.kill().await;
    world.leases_expire();
    empty(&world);
    halts(&world, "it has grown").await;
}

#[tokio::test]
async fn p06_a_compacted_topic_is_refused_at_the_start() {
    let world = World::new(1).await;
    world.start().await.kill().await;
    assert!(world.log.set_compacted(&world.topic("trial")));
    let refused = world.try_start(world.config.clone()).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("compact")));
}

fn end(world: &World) -> Option<i64> {
    let source = SourceLane { topic: world.topic("trial"), lane: Lane(0) };
    world.log.bounds(&source).map(|(_, end)| end)
}

fn empty(world: &World) {
    let end = end(world).unwrap();
    assert!(world.log.delete_records_before(&world.topic("trial"), Lane(0), end));
}

async fn halts(world: &World, why: &str) {
    let trial = world.start().await;
    let reasons = until("the halt", || async {
        let reasons = trial.client.health().reasons;
        reasons.iter().any(|reason| reason.starts_with("halted")).then_some(reasons)
    })
    .await;
    assert!(reasons[0].contains(why), "{reasons:?}");
    assert!(world.published(0).await.is_empty());
}

/// Nothing is published, so no producer meets an error: the relay must look by itself.
#[tokio::test]
async fn p06_a_quiet_relay_notices_that_the_log_lost_its_tail() {
    let world = World::new(1).await;
    let trial = world.start().await;
    for text in ["1", "2", "3"] {
        let announce = Announce { key: "b".into(), text: text.into() };
        let Ok(_) = trial.client.execute("b", announce).await.unwrap();
    }
    world.level().await;
    assert_eq!(world.published(0).await.len(), 3);
    assert!(world.log.truncate_tail(&world.topic("trial"), Lane(0), 1));
    assert_eq!(world.published(0).await.len(), 1, "two are gone");
    world.level().await;
    assert_eq!(world.published(0).await, world.in_store(0).await);
    assert_eq!(world.published(0).await.len(), 3, "each once");
}
