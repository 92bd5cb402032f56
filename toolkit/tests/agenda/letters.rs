//! P12: deadlines and effects that are dead, and what a person does about them.

use std::{sync::atomic::Ordering, time::Duration};

use quadrille::{
    engine::Client,
    operator::{LetterView, RulingRequest},
};

use crate::booking::*;

async fn book(world: &World, within: Option<Duration>, pay: bool) -> Client<Bookings> {
    let running = world.start().await;
    let client = running.client();
    let booking = "b-1".to_owned();
    let _ = client.execute("b-1", Book { booking, within, pay }).await.unwrap();
    // The engine goes on without its handle.
    std::mem::forget(running);
    client
}

async fn the_letter(client: &Client<Bookings>) -> LetterView {
    until("a dead letter", || async { client.letters().await.unwrap().len() == 1 }).await;
    client.letters().await.unwrap().remove(0)
}

async fn booking(client: &Client<Bookings>) -> Booking {
    client.load::<Booking>("b-1").await.unwrap().unwrap()
}

async fn rule(client: &Client<Bookings>, letter: &LetterView, action: &str) {
    let request = RulingRequest {
        letter: letter.letter.clone(),
        attempts: letter.attempts,
        action: action.to_owned(),
        who: "ada".to_owned(),
        note: "looked into it".to_owned(),
        outcome: (action == "answer").then(|| serde_json::json!({"receipt": "by hand"})),
    };
    client.rule(request).await.unwrap();
    let rulings = client.rulings(0).await.unwrap();
    assert_eq!((&*rulings[0].action, &*rulings[0].letter), (action, &*letter.letter));
}

/// What `/metrics` tells of dead messages, deadlines and effects.
async fn told(client: &Client<Bookings>) -> [u64; 3] {
    let text = client.fresh_metrics().await;
    ["message", "deadline", "effect"].map(|kind| {
        let series = format!("quadrille_dead_letters{{service=\"booking\",kind=\"{kind}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&*series));
        line.expect(kind).parse().unwrap()
    })
}

fn mend(world: &World) {
    world.broken.store(false, Ordering::Relaxed);
}

async fn a_dead_deadline(world: &World) -> (Client<Bookings>, LetterView) {
    world.broken.store(true, Ordering::Relaxed);
    let client = book(world, Some(Duration::from_millis(1)), false).await;
    let letter = the_letter(&client).await;
    assert_eq!((&*letter.kind, &*letter.event_type), ("deadline", "booking.time_is_up"));
    assert!(letter.reason.contains("the shelf is broken"), "{}", letter.reason);
    (client, letter)
}

/// The effect has its outcome, and the outcome's handler fails.
async fn a_dead_outcome(world: &World) -> (Client<Bookings>, LetterView) {
    world.broken.store(true, Ordering::Relaxed);
    let client = book(world, None, true).await;
    let letter = the_letter(&client).await;
    assert_eq!((&*letter.kind, letter.may_be_done), ("effect", true));
    (client, letter)
}

pub async fn p12_a_dead_deadline_fires_once_when_it_is_replayed(world: World) {
    let (client, letter) = a_dead_deadline(&world).await;
    assert_eq!(booking(&client).await.expired, 0);
    assert_eq!(told(&client).await, [0, 1, 0]);
    mend(&world);
    rule(&client, &letter, "replay").await;
    assert_eq!(told(&client).await, [0, 0, 0]);
    until("the deadline", || async { booking(&client).await.expired == 1 }).await;
    assert!(client.letters().await.unwrap().is_empty());
    until("the count", || async { client.counters().deadlines_fired == 1 }).await;
}

pub async fn p12_a_dead_deadline_that_is_skipped_does_not_come(world: World) {
    let (client, letter) = a_dead_deadline(&world).await;
    mend(&world);
    taken_away(&client, &letter, "skip").await;
}

pub async fn p12_a_dead_outcome_that_is_resolved_does_not_come(world: World) {
    let (client, letter) = a_dead_outcome(&world).await;
    mend(&world);
    taken_away(&client, &letter, "resolve").await;
}

async fn taken_away(client: &Client<Bookings>, letter: &LetterView, action: &str) {
    rule(client, letter, action).await;
    assert!(client.letters().await.unwrap().is_empty());
    let id = letter.letter.parse().unwrap();
    assert_eq!(client.letter(&id).await.unwrap(), None);
    // What is done after it shows that it does not come any more.
    let settle = Settle { booking: "b-1".to_owned(), receipt: "later".to_owned() };
    let _ = client.execute("b-1", settle).await.unwrap();
    let booking = booking(client).await;
    assert_eq!((booking.expired, booking.paid.as_deref()), (0, Some("later")));
}

pub async fn p12_a_dead_outcome_comes_to_its_handler_when_it_is_replayed_and_is_not_performed_again(
    world: World,
) {
    let (client, letter) = a_dead_outcome(&world).await;
    let performed = world.outside.with(|outside| outside.performed.clone());
    assert_eq!(performed.len(), 1);
    mend(&world);
    rule(&client, &letter, "replay").await;
    until("the payment", || async { booking(&client).await.paid.is_some() }).await;
    assert_eq!(booking(&client).await.paid.as_deref(), Some(&*performed[0]));
    assert_eq!(
        world.outside.with(|outside| outside.performed.len()),
        1,
        "what is known is not asked for"
    );
}

pub async fn p12_an_effect_that_gave_up_gets_its_outcome_from_a_person(world: World) {
    world.outside.with(|outside| outside.moods = vec![Mood::Refuse; 4]);
    let client = book(&world, None, true).await;
    let letter = the_letter(&client).await;
    assert_eq!((letter.attempts, letter.may_be_done), (4, false));
    rule(&client, &letter, "answer").await;
    until("the payment", || async { booking(&client).await.paid.is_some() }).await;
    assert_eq!(booking(&client).await.paid.as_deref(), Some("by hand"));
    assert_eq!(
        world.outside.with(|outside| outside.performed.len()),
        4,
        "nobody was called for it"
    );
    let said = client.participation("b-1").await.unwrap();
    let answered = said.last::<PayAnswered>().unwrap().unwrap();
    assert_eq!(answered.receipt, "by hand", "it is a fact of its key");
}

pub async fn p12_an_effect_that_gave_up_is_performed_again_when_it_is_replayed(world: World) {
    world.outside.with(|outside| outside.moods = vec![Mood::Refuse; 4]);
    let client = book(&world, None, true).await;
    let letter = the_letter(&client).await;
    rule(&client, &letter, "replay").await;
    until("the payment", || async { booking(&client).await.paid.is_some() }).await;
    let performed = world.outside.with(|outside| outside.performed.clone());
    assert_eq!(performed.len(), 5);
    assert!(performed.iter().all(|key| *key == performed[0]), "the key stays the same");
}
