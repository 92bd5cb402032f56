//! Asking for a notification again.

use axum::http::Method;
use notification::{AGAIN_MAX, State};
use quadrille::effect::Schedule;
use schemas::OrderId;
use serde_json::json;

use crate::{
    receiver::Receiver,
    world::{World, wait},
};

const AGAIN: &str = "/notifications/o-1/again";

fn problem(kind: &str) -> serde_json::Value {
    json!(format!("urn:quadrille:problem:{kind}"))
}

#[tokio::test]
async fn what_was_given_up_and_what_was_delivered_can_be_asked_for() {
    let receiver = Receiver::answering([500]).await;
    let world = World::open(receiver, "1m 5m".parse().unwrap()).await;
    let order = world.fail("o-1").await;
    let history = world.let_it_end(&order).await;
    assert_eq!((history.state, history.tries.len()), (State::GivenUp, 3));

    world.receiver.answer([500, 204]);
    let (status, accepted) = world.request(Method::POST, AGAIN, None).await;
    let saga = history.ending.saga.to_string();
    assert_eq!((status, &accepted), (202, &json!({ "order": "o-1", "saga": saga })));
    let history = world.let_it_end(&order).await;
    assert_eq!((history.state, history.tries.len()), (State::Delivered, 5));

    assert_eq!(world.request(Method::POST, AGAIN, None).await.0, 202);
    let history = world.history(&order, |history| history.tries.len() == 6).await;
    assert_eq!(history.state, State::Delivered);
    let tries: Vec<(u32, u32)> =
        history.tries.iter().map(|one| (one.telling, one.attempt)).collect();
    assert_eq!(tries, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]);

    // For the merchant it is one notification, all the time.
    let got = world.receiver.got();
    assert_eq!(got.len(), 6);
    assert!(got.iter().all(|one| one.is_signed() && one.id == got[0].id), "{got:?}");
    world.close().await;
}

#[tokio::test]
async fn while_it_is_told_asking_changes_nothing() {
    let receiver = Receiver::answering([204]).await;
    receiver.hold(true);
    let world = World::open(receiver, Schedule::notification()).await;
    let order = world.fail("o-1").await;
    wait("the request", async || (world.receiver.got().len() == 1).then_some(())).await;
    for _ in 0..3 {
        assert_eq!(world.request(Method::POST, AGAIN, None).await.0, 202);
    }
    world.receiver.hold(false);
    let history = world.let_it_end(&order).await;
    assert_eq!((history.state, history.tries.len()), (State::Delivered, 1));
    assert_eq!(world.receiver.got().len(), 1);
    // Also when a pause is under way: the schedule stays as it is.
    world.receiver.answer([500, 204]);
    assert_eq!(world.request(Method::POST, AGAIN, None).await.0, 202);
    let waiting = world.history(&order, |history| history.tries.len() == 2).await;
    assert_eq!(world.request(Method::POST, AGAIN, None).await.0, 202);
    let still = world.history(&order, |_| true).await;
    assert_eq!((still.state, still.next_at), (State::Pending, waiting.next_at));
    assert_eq!(world.let_it_end(&order).await.tries.len(), 3);
    assert_eq!(world.receiver.got().len(), 3);
    world.close().await;
}

#[tokio::test]
async fn a_repeated_request_under_a_key_asks_once() {
    let receiver = Receiver::answering([204]).await;
    let world = World::open(receiver, Schedule::notification()).await;
    let order = world.fail("o-1").await;
    world.history(&order, |history| history.state == State::Delivered).await;
    let first = world.request(Method::POST, AGAIN, Some("k")).await;
    let told = |times| {
        move |h: &notification::History| h.tries.len() == times && h.state != State::Pending
    };
    world.history(&order, told(2)).await;
    assert_eq!(world.request(Method::POST, AGAIN, Some("k")).await, first);
    let (status, other) = world.request(Method::POST, "/notifications/o-2/again", Some("k")).await;
    assert_eq!((status, &other["type"]), (422, &problem("idempotency-key-reused")));
    // A third telling is the proof that there was no other before it.
    assert_eq!(world.request(Method::POST, AGAIN, Some("l")).await.0, 202);
    let history = world.history(&order, |h| h.tries.iter().any(|one| one.telling == 3)).await;
    assert_eq!((history.tries.len(), world.receiver.got().len()), (3, 3));
    world.close().await;
}

#[tokio::test]
async fn there_is_an_end_to_asking_and_nothing_to_ask_for_before_the_order_ends() {
    let receiver = Receiver::answering([204]).await;
    let world = World::open(receiver, Schedule::notification()).await;
    for (method, path) in [(Method::GET, "/notifications/o-1"), (Method::POST, AGAIN)] {
        let (status, unknown) = world.request(method, path, None).await;
        assert_eq!((status, &unknown["type"]), (404, &problem("unknown-notification")));
    }
    let order: OrderId = world.fail("o-1").await;
    for times in 1..=AGAIN_MAX as usize {
        world.history(&order, |h| h.tries.len() == times && h.state != State::Pending).await;
        assert_eq!(world.request(Method::POST, AGAIN, None).await.0, 202);
    }
    let all = AGAIN_MAX as usize + 1;
    world.history(&order, |h| h.tries.len() == all && h.state != State::Pending).await;
    let (status, refused) = world.request(Method::POST, AGAIN, None).await;
    assert_eq!((status, &refused["type"]), (409, &problem("asked-too-often")));
    assert_eq!(world.receiver.got().len(), all);
    world.close().await;
}
