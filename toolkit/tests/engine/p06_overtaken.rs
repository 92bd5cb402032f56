//! P6 and P8 of a relay that is slow: what it reads one after the other is of different moments, and another
//! relay may have published in between. And floors and tails that say less than they seem to.

use quadrille::{
    engine::Config,
    log::memory::MemoryLog,
    testing::{faulty_log::FaultyLog, turnstile::Turnstile},
};

use crate::harness::*;

async fn announce(instance: &Instance, count: usize) {
    for n in 0..count {
        let announce = Announce { key: "b".into(), text: n.to_string() };
        let Ok(_) = instance.client.execute("b", announce).await.unwrap();
    }
}

/// An instance behind a log that can be held up.
async fn slow(world: &World, adapt: impl FnOnce(&mut Config)) -> (Instance, FaultyLog<MemoryLog>) {
    let log = FaultyLog::new(world.log.clone());
    let one = behind(world, &log, adapt).await;
    (one, log)
}

async fn behind(
    world: &World,
    log: &FaultyLog<MemoryLog>,
    adapt: impl FnOnce(&mut Config),
) -> Instance {
    let mut config = world.config.clone();
    adapt(&mut config);
    world.start_between(world.store.clone(), Arc::new(log.clone()), config).await.unwrap()
}

async fn someone_waits(turnstile: &Turnstile) {
    let waits = tokio::time::timeout(DEADLINE, turnstile.someone_waits());
    waits.await.expect("someone comes to the turnstile");
}

fn end(world: &World) -> i64 {
    let source = SourceLane { topic: world.topic("trial"), lane: Lane(0) };
    world.log.bounds(&source).unwrap().1
}

fn empty(world: &World) {
    assert!(world.log.delete_records_before(&world.topic("trial"), Lane(0), end(world)));
}

/// One that starts, and is overtaken between any two of its readings: it goes on to the end of the comparison
/// with what it has read.
async fn overtaken_between_its_readings(world: &World, floor: Option<u64>) {
    let log = FaultyLog::new(world.log.clone());
    let (tails, heads) = (log.read_back_is_answered(), world.store.heads_are_answered());
    tails.shut();
    heads.shut();
    let one = behind(world, &log, |_| {}).await;
    tokio::select! {
        () = someone_waits(tails) => {}
        () = someone_waits(heads) => {}
    }
    world.leases_expire();
    let two = world.beside().await;
    announce(&two, 1).await;
    world.all_published().await;
    if floor.is_some() {
        until_true("the other one's floor", || async {
            world.store.floor(Lane(0)).await.unwrap().map(|floor| floor.lane_seq) == floor
        })
        .await;
    }
    tails.open();
    heads.open();
    // Were it halted, it would take nothing more.
    announce(&one, 1).await;
    let seq = world.in_store(0).await.last().unwrap().0;
    until_true("all to be published", || async {
        world.published(0).await.last().is_some_and(|(last, _)| *last == seq)
    })
    .await;
    let reasons = one.client.health().reasons;
    assert!(!reasons.iter().any(|reason| reason.starts_with("halted")), "{reasons:?}");
}

/// ✱ Were the store read before the log, the log would have a number that the store did not have yet.
#[tokio::test]
async fn p08_a_relay_that_is_overtaken_between_tail_and_heads_does_not_halt() {
    let world = World::new(1).await;
    let zero = world.start().await;
    announce(&zero, 1).await;
    assert!(zero.shutdown(DEADLINE).await);
    overtaken_between_its_readings(&world, None).await;
    world.level().await;
}

/// ✱ The tail of an emptied partition is older than the floor that it is judged by: it is read again before
/// anything halts.
#[tokio::test]
async fn p06_a_floor_that_is_newer_than_the_tail_halts_nobody() {
    let world = World::new(1).await;
    let zero = world.start().await;
    announce(&zero, 5).await;
    assert!(zero.shutdown(DEADLINE).await);
    empty(&world);
    overtaken_between_its_readings(&world, Some(6)).await;
    assert_eq!(world.published(0).await, world.in_store(0).await[5..], "nothing again");
}

/// ✱ A relay that was overtaken writes a floor: its own number beside the offset behind another's event would
/// have that event published again, once the partition is empty.
#[tokio::test]
async fn p06_a_floor_has_the_number_that_was_read_with_its_offset() {
    let world = World::new(1).await;
    let (one, log) = slow(&world, |_| {}).await;
    let asked = log.last_record_is_asked();
    announce(&one, 1).await;
    asked.shut();
    announce(&one, 4).await;
    someone_waits(asked).await;
    world.all_published().await;
    world.leases_expire();
    let two = {
        let mut config = world.config.clone();
        config.sources = Some(vec![]);
        config.limits.lease_ttl = Duration::from_secs(3600);
        let store = Arc::new(world.store.inner().clone());
        world.start_between(store, Arc::new(world.log.clone()), config).await.unwrap()
    };
    announce(&two, 1).await;
    world.all_published().await;
    two.kill().await;
    world.leases_expire();
    asked.open();
    announce(&one, 1).await;
    world.level().await;
    until_true("a floor of all", || async {
        world.store.floors().iter().any(|floor| floor.lane_seq == 7)
    })
    .await;
    let offsets: Vec<i64> = world.lane_of_log(0).await.iter().map(|record| record.offset).collect();
    for floor in world.store.floors() {
        let before = offsets.iter().filter(|offset| **offset < floor.end_offset).count();
        assert_eq!(before as u64, floor.lane_seq, "{floor:?} of {offsets:?}");
    }
}

/// ✱ A floor that lacks the mark behind its last record would not fit the partition that retention leaves.
#[tokio::test]
async fn p06_a_floor_is_not_read_before_the_marks_are_written() {
    let world = World::new(1).await;
    let (one, log) = slow(&world, |_| {}).await;
    log.marks_pending(3);
    announce(&one, 5).await;
    world.level().await;
    until_true("a floor of all", || async {
        world.store.floors().iter().any(|floor| floor.lane_seq == 5)
    })
    .await;
    let floors = world.store.floors();
    assert!(floors.iter().all(|floor| floor.end_offset == end(&world)), "{floors:?}");
    one.kill().await;
    world.leases_expire();
    empty(&world);
    let second = world.start().await;
    announce(&second, 1).await;
    world.all_published().await;
    assert_eq!(world.published(0).await, world.in_store(0).await[5..], "nothing again");
}

/// ✱ The partition is empty and there is no floor, in a store that has lost everything: to begin at 1 would
/// publish over what was there.
#[tokio::test]
async fn p08_an_emptied_partition_and_an_empty_store_halt() {
    let world = World::with(1, |config| config.limits.lease_ttl = Duration::from_secs(600)).await;
    let backup = world.store.inner().fork();
    let first = world.start().await;
    announce(&first, 5).await;
    world.level().await;
    first.kill().await;
    world.store.inner().restore(&backup);
    empty(&world);
    let second = world.start().await;
    let reason = until("the halt", || async {
        let reasons = second.client.health().reasons;
        reasons.into_iter().find(|reason| reason.starts_with("halted"))
    })
    .await;
    assert!(reason.contains("before a floor was written"), "{reason}");
    assert_eq!(world.published(0).await, []);
}

/// ✱ The log lost all of a partition that retention has never touched: its floor says nothing of that.
#[tokio::test]
async fn p06_a_partition_that_lost_everything_gets_it_again_whatever_its_floor() {
    let world = World::new(1).await;
    let first = world.start().await;
    announce(&first, 5).await;
    assert!(first.shutdown(DEADLINE).await);
    assert_eq!(world.store.floor(Lane(0)).await.unwrap().map(|floor| floor.lane_seq), Some(5));
    assert!(world.log.truncate_tail(&world.topic("trial"), Lane(0), 0));
    let second = world.start().await;
    announce(&second, 1).await;
    world.level().await;
    assert_eq!(world.published(0).await.len(), 6);
}
