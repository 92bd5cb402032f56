//! An instance is ready again when what kept it from its work is over.

use quadrille::{
    log::EventLog,
    store::{Claim, EventStore, StartAt},
    testing::{faulty_log::FaultyLog, faulty_store::Fault},
};

use crate::harness::*;

/// The log does not answer while a lane is being taken over; the next try succeeds.
#[tokio::test]
async fn a_claim_that_fails_once_does_not_leave_the_instance_unready() {
    let world = World::new(1).await;
    let first = world.start().await;
    world.send(saga(1), Note { key: "o-1".into(), text: "1".into(), how: How::Do });
    world.applied().await;
    first.kill().await;
    world.log.expel_members("t.trial");
    world.leases_expire();
    let log = FaultyLog::new(world.log.clone());
    log.finds_unavailable(1);
    let between: Arc<dyn EventLog> = Arc::new(log.clone());
    let second = world.start_between(world.store.clone(), between, world.config.clone()).await;
    let second = second.expect("it starts");
    world.send(saga(1), Note { key: "o-1".into(), text: "2".into(), how: How::Do });
    world.applied().await;
    assert_eq!(log.counts().unavailable, 1, "the claim has met the fault");
    until_true("readiness", || async { second.client.health().ready }).await;
}

/// The store has not answered, and then says that the lane has another owner: it is there again.
#[tokio::test]
async fn a_store_that_answers_with_a_refusal_is_no_trouble() {
    let world = World::with(1, |config| config.limits.lease_ttl = Duration::from_secs(4)).await;
    let trial = world.start().await;
    world.send(saga(1), Note { key: "o-1".into(), text: "1".into(), how: How::Do });
    world.applied().await;
    let (asked, committed) = (world.store.appends(), trial.client.counters().appends);
    let positions = world.store.inner().positions().await.unwrap();
    let lanes = positions.into_iter().map(|(lane, _)| lane).collect();
    let claim = Claim { lanes, consumes: Trial::consumes(), start: StartAt::First, held_max: 1 };
    world.store.inner().claim(&claim).await.unwrap();
    world.store.script([Fault::Unavailable]);
    world.send(saga(1), Note { key: "o-1".into(), text: "2".into(), how: How::Do });
    until_true("readiness", || async {
        world.store.appends() >= asked + 2 && trial.client.health().ready
    })
    .await;
    assert_eq!(trial.client.counters().appends, committed, "not because a commit came through");
}

/// What is held cannot be loaded, and then the lane goes to another instance: it is no trouble of this one any more.
#[tokio::test]
async fn a_retry_that_others_make_now_is_no_trouble() {
    let world = World::with(1, |config| config.retry.delay_first = Duration::from_millis(5)).await;
    let trial = world.start().await;
    world.store.hide_held();
    world.send(saga(1), Note { key: "o-1".into(), text: "1".into(), how: How::Fail });
    let reasons = || trial.client.health().reasons;
    until_true("the trouble", || async {
        reasons().iter().any(|reason| reason.starts_with("retry"))
    })
    .await;
    let another = world.log.subscribe("t.trial", &[world.topic("up")]).await.unwrap();
    until_true("readiness", || async { reasons().is_empty() }).await;
    drop(another);
}
