//! A merchant's server that fails three times, and one that always fails.

use axum::http::Method;
use notification::{State, Try, TryResult};
use quadrille::{effect::Schedule, operator::SagaView};
use serde_json::json;

use crate::{
    receiver::{Got, Receiver},
    world::World,
};

/// Every one is signed, and known by one id; between two of them is the pause of the schedule.
fn check(got: &[Got], pauses: &[i64]) {
    assert_eq!(got.len(), pauses.len() + 1);
    for one in got {
        assert!(one.is_signed(), "{one:?}");
        assert_eq!((&one.id, &one.path), (&got[0].id, &got[0].path), "{got:?}");
        assert_eq!(one.body(), got[0].body());
    }
    for (two, pause) in got.windows(2).zip(pauses) {
        let between = two[1].timestamp - two[0].timestamp;
        // Beyond the pause, what this machine needs.
        assert!((*pause..pause + 30).contains(&between), "{between} s instead of {pause} s");
    }
}

async fn three_failures_then_delivered(world: World) {
    let order = world.fail("o-1").await;
    let history = world.let_it_end(&order).await;
    let got = world.receiver.got();
    check(&got, &[60, 300, 600]);
    assert_eq!(history.state, State::Delivered);
    assert_eq!(got[0].id, history.ending.event.to_string());

    let (status, view) = world.request(Method::GET, "/notifications/o-1", None).await;
    assert_eq!((status, &view["state"]), (200, &json!("delivered")), "{view}");
    assert_eq!(view["end"], json!({ "status": "failed", "reason": "payment_declined" }));
    assert_eq!((&view["next_attempt_at"], &view["webhook_id"]), (&json!(null), &json!(got[0].id)));
    let attempts = view["attempts"].as_array().unwrap();
    let seen = |index: usize| (&attempts[index]["attempt"], &attempts[index]["status"]);
    assert_eq!(attempts.len(), 4);
    for (index, code) in ["500 ", "503 ", "302 "].iter().enumerate() {
        assert_eq!(seen(index), (&json!(index + 1), &json!("failed")));
        let error = attempts[index]["error"].as_str().unwrap();
        assert!(error.contains("the receiver said") && error.contains(code), "{error}");
    }
    assert_eq!(seen(3), (&json!(4), &json!("delivered")));
    assert_eq!(attempts[3].get("error"), None);
    world.close().await;
}

/// A redirect is a failure as any other, and not followed: the fourth request goes where the first went.
#[tokio::test]
async fn a_server_that_fails_three_times_is_told_at_the_fourth() {
    let receiver = Receiver::answering([500, 503, 302, 204]).await;
    three_failures_then_delivered(World::open(receiver, Schedule::notification()).await).await;
}

#[tokio::test]
async fn a_server_that_fails_three_times_is_told_at_the_fourth_on_sqlite() {
    let receiver = Receiver::answering([500, 503, 302, 204]).await;
    let world = World::open_on_sqlite(receiver, Schedule::notification()).await;
    three_failures_then_delivered(world).await;
}

#[tokio::test]
async fn a_server_that_always_fails_is_given_up_after_the_last_pause() {
    let receiver = Receiver::answering([500]).await;
    let world = World::open(receiver, Schedule::notification()).await;
    let order = world.fail("o-1").await;
    let first = world.history(&order, |history| history.tries.len() == 1).await;
    let due = first.next_at.unwrap().since(first.tries[0].at).as_secs();
    assert!((59..=60).contains(&due), "the next try is in {due} s");

    let history = world.let_it_end(&order).await;
    check(&world.receiver.got(), &[60, 300, 600, 1_800, 3_600, 7_200, 18_000, 36_000]);
    assert_eq!((history.state, history.next_at), (State::GivenUp, None));
    let attempts: Vec<u32> = history.tries.iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, (1..=9).collect::<Vec<_>>());
    let failed =
        |one: &Try| matches!(&one.result, TryResult::Failed { error } if error.contains("500"));
    assert!(history.tries.iter().all(failed), "{history:?}");
    assert!(history.tries.is_sorted_by_key(|one| one.at));

    // Nobody is woken up for it, and it is over.
    let client = &world.notification().client;
    assert_eq!(client.letters().await.unwrap(), []);
    let saga = client.saga(history.ending.saga).await.unwrap();
    assert_eq!(saga.open, []);
    // The timeline of the saga tells all of it, after how the order ended.
    let sagas = [world.order.client.saga(history.ending.saga).await.unwrap(), saga];
    let told: Vec<String> = SagaView::timeline(&sagas).iter().map(line).collect();
    let count = |name: &str| told.iter().filter(|line| **line == name).count();
    assert_eq!((count("quadrille.effect_tried"), count("notification.given_up")), (8, 1));
    let place = |name| told.iter().position(|line| line == name).unwrap();
    assert!(place("ORDER_FAILED") < place("notification.owed"), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("notification.telling_ended"), "{told:?}");
    world.close().await;
}

fn line(happening: &quadrille::operator::Happening<'_>) -> String {
    match happening {
        quadrille::operator::Happening::Event(event) => event.event_type.clone(),
        other => format!("{other:?}"),
    }
}

/// 410 says that nobody is there any more: no later try can help.
#[tokio::test]
async fn a_server_that_is_gone_is_given_up_at_once() {
    let receiver = Receiver::answering([410]).await;
    let world = World::open(receiver, Schedule::notification()).await;
    let order = world.fail("o-1").await;
    let history = world.let_it_end(&order).await;
    assert_eq!((history.state, history.tries.len()), (State::GivenUp, 1));
    check(&world.receiver.got(), &[]);
    assert_eq!(world.notification().client.letters().await.unwrap(), []);
    world.close().await;
}
