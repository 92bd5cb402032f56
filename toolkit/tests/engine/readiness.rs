//! An instance is ready again when what kept it from its work is over.

use quadrille::{log::EventLog, testing::faulty_log::FaultyLog};

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
