//! P2: positions move by compare-and-set, under the owner's epoch.

use quadrille::store::{Claim, Claimed};

use crate::harness::*;

/// Takes lanes over, as another instance does.
async fn take_over(world: &World, lanes: &[SourceLane]) -> u64 {
    let claim = Claim {
        lanes: lanes.to_vec(),
        consumes: Trial::consumes(),
        start: StartAt::First,
        held_max: 10,
    };
    let claimed = world.store.inner().claim(&claim).await.unwrap().remove(0);
    let Claimed::Owned { epoch, .. } = claimed else { panic!("{claimed:?}") };
    epoch
}

/// A lane was taken over while this instance was deciding: it writes nothing of it, and goes on with the
/// others at once.
#[tokio::test]
async fn p02_who_meets_a_higher_epoch_writes_nothing_and_drops_that_lane_alone() {
    let world = World::with(2, |config| config.limits.lease_ttl = Duration::from_secs(60)).await;
    let trial = world.start().await;
    let (lost, kept) = (world.key_in(Lane(0), "lost"), world.key_in(Lane(1), "kept"));
    let note = |key: &str, text: &str| Note { key: key.into(), text: text.into(), how: How::Do };
    world.send(saga(1), note(&lost, "one"));
    world.send(saga(1), note(&kept, "one"));
    world.applied().await;

    take_over(&world, &[world.lane("up", &lost)]).await;
    // Both in one batch: the one must not take the other with it.
    world.send(saga(1), note(&lost, "two"));
    world.send(saga(1), note(&kept, "two"));
    until_true("the lane that was kept", || async { world.types(&kept).await.len() == 2 }).await;
    world.send(saga(1), note(&kept, "three"));
    until_true("the lane that was kept", || async { world.types(&kept).await.len() == 3 }).await;
    assert_eq!(world.types(&lost).await.len(), 1, "a zombie writes nothing");
    assert_eq!(world.positions().await[&world.lane("up", &lost)], 1);
    assert!(world.script.calls("NOTE", &lost) > 1, "else this tests nothing: it never tried");
    assert!(trial.client.health().ready);
}

/// A fail-over has lost a position and what was applied under it, none of which was published. Nothing comes
/// any more that would show it.
#[tokio::test]
async fn p02_an_idle_intake_notices_that_the_store_has_lost_its_position() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let source = world.lane("up", "o");
    // Nobody consumes these: they move the position, and nothing else.
    world.send(saga(1), Alien { key: "o".into() });
    world.applied().await;
    let replica = world.store.inner().fork();
    world.send(saga(1), Alien { key: "o".into() });
    world.applied().await;
    world.store.inner().restore(&replica);
    assert_eq!(world.positions().await[&source], 1, "else this tests nothing");
    world.applied().await;
    assert!(trial.client.health().ready);
}

/// A zombie that was asleep in the middle of its append.
#[tokio::test]
async fn p02_an_append_that_wakes_up_after_the_take_over_fails() {
    let world = World::new(1).await;
    let first = world.start().await;
    world.store.hold();
    world.send(saga(1), Take { key: "o".into(), sku: "sku".into(), how: How::Do });
    until_true("the append", || async { world.store.held_up() == 1 }).await;

    // The group puts the sleeper out and gives the lane to a second instance, which handles the message.
    world.log.expel_members("t.trial");
    let second = {
        let store = Arc::new(world.store.inner().clone());
        let log = Arc::new(world.log.clone());
        world.start_between(store, log, world.config.clone()).await.unwrap()
    };
    until_true("the second instance", || async { !world.stored().await.is_empty() }).await;
    world.store.resume();
    until_true("the sleeper's append", || async { world.store.held_up() == 0 }).await;
    world.send(saga(1), Note { key: "o".into(), text: "end".into(), how: How::Do });
    world.applied().await;
    assert_eq!(world.types("o").await, ["SOLD_OUT", "NOTED"]);
    assert_eq!(
        first.client.counters().events_appended + second.client.counters().events_appended,
        2
    );
}

/// Two instances share the lanes; one dies; the other takes its lanes over. Nothing twice, nothing lost.
#[tokio::test]
async fn p02_lanes_move_between_two_instances_without_loss_or_repetition() {
    let world = World::new(3).await;
    let first = world.start().await;
    let send = |n: u32| {
        let key = format!("o-{}", n % 10);
        world.send(saga(1), RivalNote { key: key.clone(), text: format!("rival {n}") });
        world.send(saga(1), Note { key, text: format!("up {n}"), how: How::Do });
    };
    (0..30).for_each(send);
    let second = world.start().await;
    world.applied().await;
    (30..60).for_each(send);
    until_true("both to work", || async {
        first.client.counters().messages_applied > 0
            && second.client.counters().messages_applied > 0
    })
    .await;
    first.kill().await;
    (60..90).for_each(send);
    world.applied().await;
    for key in 0..10 {
        let noted = world.all::<Noted>(&format!("o-{key}")).await;
        for service in ["up", "rival"] {
            let texts = noted.iter().map(|noted| &noted.text).filter(|t| t.starts_with(service));
            let expected = (0..90).filter(|n| n % 10 == key).map(|n| format!("{service} {n}"));
            assert_eq!(texts.cloned().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
    world.level().await;
}

/// Put out of the group and let in again while its append is under way, by a group that gives it the same
/// lanes: the append is void, the lanes are not.
#[tokio::test]
async fn p02_a_lane_that_was_claimed_anew_survives_an_append_from_before() {
    let world = World::with(1, |config| config.limits.lease_ttl = Duration::from_secs(600)).await;
    let trial = world.start().await;
    world.store.hold();
    let sent = world.send(saga(1), Note { key: "o".into(), text: "one".into(), how: How::Do });
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    world.log.expel_members("t.trial");
    until_true("the new claim", || async { world.script.calls("NOTE", "o") == 2 }).await;
    world.store.resume();
    world.applied().await;
    assert_eq!(world.types("o").await, ["NOTED"]);
    assert_eq!(world.positions().await[&sent.source], 1);
    assert!(trial.client.health().ready);
}
