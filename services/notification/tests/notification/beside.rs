//! What happens beside the plan: processes die, the merchant's server is not there.

use std::time::Duration;

use notification::{State, TryResult};
use quadrille::{effect::Schedule, runtime::Clock as _};

use crate::{
    receiver::Receiver,
    world::{World, wait},
};

/// The merchant may have it already, and gets it again: known by the same id, he takes it once.
#[tokio::test]
async fn a_crash_between_the_call_and_its_outcome_repeats_it_under_its_id() {
    let receiver = Receiver::answering([204]).await;
    receiver.hold(true);
    let mut world = World::open(receiver, Schedule::notification()).await;
    let order = world.fail("o-1").await;
    wait("the request", async || (world.receiver.got().len() == 1).then_some(())).await;
    world.kill().await;
    world.receiver.hold(false);
    world.start().await;
    // The claim of the dead instance is over.
    world.clock.put_forward(world.clock.now().plus(Duration::from_secs(60)));
    let history = world.history(&order, |history| history.state == State::Delivered).await;
    assert_eq!(history.tries.len(), 1, "only a try that has ended is one: {history:?}");
    let got = world.receiver.got();
    assert_eq!((got.len(), &got[0].id), (2, &got[1].id));
    assert!(got[1].is_signed() && got[1].timestamp >= got[0].timestamp + 59, "{got:?}");
    world.close().await;
}

/// What is waited for survives the process.
#[tokio::test]
async fn a_crash_in_a_pause_keeps_the_schedule() {
    let receiver = Receiver::answering([500, 500, 204]).await;
    let mut world = World::open(receiver, Schedule::notification()).await;
    let order = world.fail("o-1").await;
    let before = world.history(&order, |history| history.tries.len() == 1).await;
    world.kill().await;
    world.start().await;
    let after = world.history(&order, |_| true).await;
    assert_eq!((&after.tries, after.next_at), (&before.tries, before.next_at));
    assert_eq!(world.let_it_end(&order).await.tries.len(), 3);
    world.close().await;
}

/// A connection that is refused is a try as any other.
#[tokio::test]
async fn a_server_that_is_not_there_is_tried_and_given_up() {
    let mut receiver = Receiver::answering([204]).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    receiver.address = nobody.local_addr().unwrap();
    drop(nobody);
    let world = World::open(receiver, "1s 2s".parse().unwrap()).await;
    let order = world.fail("o-1").await;
    let history = world.let_it_end(&order).await;
    assert_eq!((history.state, history.tries.len()), (State::GivenUp, 3));
    for one in &history.tries {
        let TryResult::Failed { error } = &one.result else { panic!("{one:?}") };
        assert!(error.starts_with("nothing was sent"), "{error}");
    }
    world.close().await;
}

/// Whoever says nothing for too long may have it, and gets it again.
#[tokio::test]
async fn a_server_that_says_nothing_is_tried_again() {
    let receiver = Receiver::answering([204]).await;
    receiver.hold(true);
    let mut world = World::half_open(receiver, "1m 5m".parse().unwrap()).await;
    world.timeout = Duration::from_millis(20);
    world.start_payment().await;
    world.start().await;
    let order = world.fail("o-1").await;
    let history = world.let_it_end(&order).await;
    assert_eq!((history.state, history.tries.len()), (State::GivenUp, 3));
    for one in &history.tries {
        let TryResult::Failed { error } = &one.result else { panic!("{one:?}") };
        assert!(error.ends_with("no answer within 20ms"), "{error}");
    }
    world.close().await;
}
