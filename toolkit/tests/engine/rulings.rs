//! P11 and P12: what a person rules on a dead letter, seen by a running engine.

use quadrille::{
    log::record::name,
    operator::{RulingError, RulingRequest},
};

use crate::harness::*;

fn note(key: &str, text: impl ToString, how: How) -> Note {
    Note { key: key.into(), text: text.to_string(), how }
}

async fn texts(world: &World, key: &str) -> Vec<String> {
    world.all::<Noted>(key).await.into_iter().map(|noted| noted.text).collect()
}

async fn a_world() -> World {
    World::with(1, |config| {
        config.retry.attempts_max = 2;
        config.limits.rulings_poll_every = Duration::from_millis(2);
    })
    .await
}

fn rule(letter: &str, attempts: u32, action: &str) -> RulingRequest {
    RulingRequest {
        letter: letter.to_owned(),
        attempts,
        action: action.to_owned(),
        who: "ada".to_owned(),
        note: "the shelf was mended".to_owned(),
        outcome: None,
    }
}

/// One poison message, two behind it, and others beside it.
async fn poisoned(world: &World, how: How) -> Instance {
    let trial = world.start().await;
    world.send(saga(1), note("o", 0, how));
    world.send(saga(1), note("o", 1, How::Do));
    world.send(saga(1), note("other", 0, How::Do));
    let _ = world.the_dead().await;
    world.send(saga(1), note("o", 2, How::Do));
    world.applied().await;
    assert_eq!(texts(world, "o").await, Vec::<String>::new());
    assert_eq!(texts(world, "other").await, ["0"]);
    trial
}

#[tokio::test]
async fn p12_a_replayed_letter_goes_first_and_its_followers_come_in_order() {
    let world = a_world().await;
    let trial = poisoned(&world, How::FailTimes(2)).await;
    let letters = trial.client.letters().await.unwrap();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.attempts, letter.event_type.as_str()), (2, "NOTE"));
    let number = trial.client.rule(rule(&letter.letter, 2, "replay")).await.unwrap();
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["0", "1", "2"]);
    world.answered().await;
    let rulings = trial.client.rulings(0).await.unwrap();
    assert_eq!(rulings.len(), 1);
    let ruling = &rulings[0];
    assert_eq!(
        (ruling.number, ruling.action.as_str(), ruling.who.as_str()),
        (number, "replay", "ada")
    );
    assert!(ruling.reason.contains("failure 2"), "{}", ruling.reason);
    world.level().await;
}

#[tokio::test]
async fn p12_a_skipped_letter_lets_its_followers_go_on() {
    for action in ["skip", "resolve"] {
        let world = a_world().await;
        let trial = poisoned(&world, How::Terminal).await;
        let letter = trial.client.letters().await.unwrap().remove(0);
        trial.client.rule(rule(&letter.letter, letter.attempts, action)).await.unwrap();
        world.nothing_parked().await;
        assert_eq!(texts(&world, "o").await, ["1", "2"], "{action}");
        world.answered().await;
    }
}

#[tokio::test]
async fn p12_a_replay_that_fails_again_is_dead_again_and_holds_its_followers() {
    let world = a_world().await;
    let trial = poisoned(&world, How::Terminal).await;
    let letter = trial.client.letters().await.unwrap().remove(0);
    trial.client.rule(rule(&letter.letter, letter.attempts, "replay")).await.unwrap();
    until_true("the second death", || async {
        trial.client.letters().await.unwrap().iter().any(|l| l.attempts == letter.attempts + 1)
    })
    .await;
    assert_eq!(world.held(HeldState::Waiting).await.len(), 2);
    assert_eq!(texts(&world, "o").await, Vec::<String>::new());
}

/// Whoever owns the lane takes it up, also when nobody was there when it was ruled.
#[tokio::test]
async fn p12_a_ruling_made_while_nobody_runs_is_done_by_the_next_owner() {
    let world = a_world().await;
    let trial = poisoned(&world, How::FailTimes(2)).await;
    let client = trial.client.clone();
    trial.kill().await;
    world.leases_expire();
    let letter = client.letters().await.unwrap().remove(0);
    client.rule(rule(&letter.letter, letter.attempts, "replay")).await.unwrap();
    let _next = world.start().await;
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["0", "1", "2"]);
}

#[tokio::test]
async fn p12_a_ruling_that_does_not_fit_is_refused_with_its_reason() {
    let world = a_world().await;
    let trial = poisoned(&world, How::Terminal).await;
    let letter = trial.client.letters().await.unwrap().remove(0);
    let ruled = |request: RulingRequest| {
        let client = trial.client.clone();
        async move { client.rule(request).await }
    };
    let changed = ruled(rule(&letter.letter, 9, "skip")).await;
    assert!(matches!(changed, Err(RulingError::Changed)), "{changed:?}");
    let unknown = ruled(rule("message/t/0/none", 1, "skip")).await;
    assert!(matches!(unknown, Err(RulingError::NotThere(_))), "{unknown:?}");
    for request in [
        rule("no letter", 1, "skip"),
        rule(&letter.letter, 1, "burn"),
        rule(&letter.letter, 1, "answer"),
        RulingRequest { who: " ".to_owned(), ..rule(&letter.letter, 1, "skip") },
        RulingRequest { note: String::new(), ..rule(&letter.letter, 1, "skip") },
    ] {
        let refused = ruled(request).await;
        assert!(matches!(refused, Err(RulingError::Invalid(_))), "{refused:?}");
    }
    assert!(trial.client.rulings(0).await.unwrap().is_empty(), "nothing was ruled");
    assert_eq!(world.the_dead().await.attempts, letter.attempts);
}

/// What could not be read has a key, so it can be replayed: it is dead again, and says why.
#[tokio::test]
async fn p12_a_replayed_letter_that_cannot_be_read_is_dead_again_with_its_reason() {
    let world = a_world().await;
    let trial = world.start().await;
    let (source, _, _, mut record) = world.next(saga(1), &note("o", 0, How::Do));
    record.headers.retain(|header| &*header.name != name::CORRELATION_ID);
    world.put(&source, record);
    world.send(saga(1), note("o", 1, How::Do));
    world.applied().await;
    let dead = world.the_dead().await;
    let letter = trial.client.letters().await.unwrap().remove(0);
    assert_eq!(letter.attempts, 1);
    trial.client.rule(rule(&letter.letter, 1, "replay")).await.unwrap();
    until_true("the second death", || async {
        world.held(HeldState::Dead).await.iter().any(|held| held.attempts == 2)
    })
    .await;
    let again = world.the_dead().await;
    assert_eq!(again.id, dead.id);
    assert!(again.reason.contains("cannot be read"), "{}", again.reason);
    assert!(again.reason.contains(&dead.reason), "{} of {}", again.reason, dead.reason);
    assert_eq!(world.held(HeldState::Parked).await, [], "it is not parked any more");
    assert_eq!(world.held(HeldState::Waiting).await.len(), 1);
    assert_eq!(trial.client.counters().messages_dead, 2);
    let client = &trial.client;
    client.rule(rule(&letter.letter, 2, "skip")).await.unwrap();
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["1"]);
}
