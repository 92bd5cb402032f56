//! P14: effects are at least once, under a stable key; what nobody knows is asked for.

use std::sync::Arc;

use quadrille::{
    store::{AgendaQuery, AgendaState, memory::MemoryStore},
    testing::faulty_store::{Fault, FaultyStore},
};

use crate::booking::*;

async fn book(world: &World) -> quadrille::engine::Client<Bookings> {
    let running = world.start().await;
    let client = running.client();
    let booking = "b-1".to_owned();
    let _ = client.execute("b-1", Book { booking, within: None, pay: true }).await.unwrap();
    // The engine goes on without its handle.
    std::mem::forget(running);
    client
}

async fn until_paid(client: &quadrille::engine::Client<Bookings>) {
    until("the payment", || async {
        client.load::<Booking>("b-1").await.unwrap().is_some_and(|b| b.paid.is_some())
    })
    .await;
}

pub async fn p14_the_outcome_comes_back_as_an_event(world: World) {
    let client = book(&world).await;
    until_paid(&client).await;
    assert_eq!(world.outside.with(|o| (o.performed.len(), o.asked.len())), (1, 0));
}

/// A claim may come before the engine has heard that what it claims is committed: it is what that batch has put
/// there, and not void. (Else nobody would look at it before its lease ends, 25 s later.)
#[tokio::test]
async fn p14_an_effect_that_is_claimed_before_its_commit_is_known_is_carried_out_at_once() {
    let store = Arc::new(FaultyStore::new(MemoryStore::default()));
    store.script([Fault::AnsweredLate]);
    let world = World::on(store.clone());
    let running = world.start().await;
    let client = running.client();
    let booking = "b-1".to_owned();
    let booked = client.execute("b-1", Book { booking, within: None, pay: true });
    let resuming = async {
        until("the call", || async { world.outside.with(|o| o.performed.len()) == 1 }).await;
        // On one thread, all that can follow from it has happened then.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        store.resume();
    };
    let (booked, ()) = tokio::join!(booked, resuming);
    let _ = booked.unwrap();
    until_paid(&client).await;
    assert_eq!(world.outside.with(|o| (o.performed.len(), o.asked.len())), (1, 0));
}

pub async fn p14_a_lost_answer_is_asked_for_and_not_sent_again(world: World) {
    world.outside.with(|o| o.moods = vec![Mood::LoseAnswer]);
    let client = book(&world).await;
    until_paid(&client).await;
    let (performed, asked) = world.outside.with(|o| (o.performed.clone(), o.asked.clone()));
    assert_eq!((performed.len(), asked.len()), (1, 1));
    assert_eq!(performed, asked, "the key stays the same");
}

pub async fn p14_what_is_surely_not_done_is_sent_again_without_asking_until_a_person_decides(
    world: World,
) {
    world.outside.with(|o| o.moods = vec![Mood::Refuse; 100]);
    let client = book(&world).await;
    let dead = AgendaQuery { state: Some(AgendaState::Dead), saga: None, limit: 10 };
    until("the give-up", || async { !world.store.agenda(&dead).await.unwrap().is_empty() }).await;
    let items = world.store.agenda(&dead).await.unwrap();
    assert_eq!((items[0].attempts, items[0].begun), (4, false));
    assert!(items[0].reason.contains("nothing was done"), "{}", items[0].reason);
    assert_eq!(world.outside.with(|o| (o.performed.len(), o.asked.len())), (4, 0));
    until("the count", || async { client.counters().effect_tries_failed == 4 }).await;
    let tries = client.tries::<Pay>(items[0].saga, "b-1").await.unwrap();
    let failed = tries.failed.iter().map(|one| (one.effect, one.attempt)).collect::<Vec<_>>();
    assert_eq!(failed, (1..=4).map(|attempt| (items[0].id, attempt)).collect::<Vec<_>>());
    assert!(tries.failed.iter().all(|one| !one.reason.is_empty()), "{tries:?}");
    assert!(tries.failed.is_sorted_by_key(|one| one.at), "{tries:?}");
    let open = tries.open.iter().map(|one| (one.effect, one.due)).collect::<Vec<_>>();
    assert_eq!(open, [(items[0].id, None)], "it waits for a person");
    let of_another = client.tries::<Pay>(items[0].saga, "b-2").await.unwrap();
    assert!(of_another.failed.is_empty() && of_another.open.is_empty(), "{of_another:?}");
}
