//! P11 and P12: what handlers state about retries, and about what comes behind a dead message.

use quadrille::operator::RulingRequest;

use crate::harness::*;

fn loose(key: &str, text: impl ToString, how: How) -> Loose {
    Loose { key: key.into(), text: text.to_string(), how }
}

fn note(key: &str, text: impl ToString, how: How) -> Note {
    Note { key: key.into(), text: text.to_string(), how }
}

async fn texts(world: &World, key: &str) -> Vec<String> {
    world.all::<Noted>(key).await.into_iter().map(|noted| noted.text).collect()
}

async fn aside(world: &World, count: usize) -> Vec<quadrille::store::HeldMessage> {
    until("messages that are set aside", || async {
        Some(world.held(HeldState::Aside).await).filter(|aside| aside.len() == count)
    })
    .await
}

async fn rule(client: &quadrille::engine::Client<Trial>, action: &str) {
    let letter = client.letters().await.unwrap().remove(0);
    let request = RulingRequest {
        letter: letter.letter,
        attempts: letter.attempts,
        action: action.to_owned(),
        who: "ada".to_owned(),
        note: "mended".to_owned(),
        outcome: None,
    };
    client.rule(request).await.unwrap();
}

async fn a_world() -> World {
    World::with(1, |config| {
        config.retry.attempts_max = 4;
        config.limits.rulings_poll_every = Duration::from_millis(2);
    })
    .await
}

#[tokio::test]
async fn p12_each_handler_has_its_own_retries() {
    let world = a_world().await;
    let _trial = world.start().await;
    world.send(saga(1), loose("own", 0, How::Fail));
    world.send(saga(1), note("engine", 0, How::Fail));
    let own = aside(&world, 1).await.remove(0);
    let engine = world.the_dead().await;
    assert_eq!((own.attempts, engine.attempts), (2, 4));
    assert!(own.reason.starts_with("gave up after 2 attempts"), "{}", own.reason);
    assert_eq!((world.script.calls("LOOSE", "own"), world.script.calls("NOTE", "engine")), (2, 4));
}

/// While it is parked its followers wait; once it is dead they pass, and it may be replayed after them.
#[tokio::test]
async fn p11_followers_pass_a_message_set_aside_which_may_be_replayed_after_them() {
    let world = a_world().await;
    let trial = world.start().await;
    world.send(saga(1), loose("o", 0, How::FailTimes(2)));
    world.send(saga(1), loose("o", 1, How::Do));
    world.send(saga(1), loose("o", 2, How::Do));
    let _ = aside(&world, 1).await;
    world.applied().await;
    world.nothing_parked().await;
    world.send(saga(1), loose("o", 3, How::Do));
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["1", "2", "3"]);
    rule(&trial.client, "replay").await;
    until_true("the replay", || async { texts(&world, "o").await.len() == 4 }).await;
    assert_eq!(texts(&world, "o").await, ["1", "2", "3", "0"]);
    assert_eq!(aside(&world, 0).await, []);
    world.answered().await;
}

#[tokio::test]
async fn p11_a_message_set_aside_survives_a_change_of_owner() {
    let world = a_world().await;
    let first = world.start().await;
    world.send(saga(1), loose("o", 0, How::FailTimes(2)));
    let _ = aside(&world, 1).await;
    first.kill().await;
    world.leases_expire();
    let second = world.start().await;
    world.send(saga(1), loose("o", 1, How::Do));
    world.applied().await;
    assert_eq!(texts(&world, "o").await, ["1"]);
    assert_eq!(aside(&world, 1).await[0].seq, 1);
    rule(&second.client, "replay").await;
    until_true("the replay", || async { texts(&world, "o").await.len() == 2 }).await;
    assert_eq!(texts(&world, "o").await, ["1", "0"]);
    world.answered().await;
}

#[tokio::test]
async fn p12_a_replay_that_fails_again_is_set_aside_again() {
    let world = a_world().await;
    let trial = world.start().await;
    world.send(saga(1), loose("o", 0, How::Terminal));
    let _ = aside(&world, 1).await;
    rule(&trial.client, "replay").await;
    until_true("the second death", || async {
        world.held(HeldState::Aside).await.iter().any(|held| held.attempts == 2)
    })
    .await;
    world.send(saga(1), loose("o", 1, How::Do));
    world.applied().await;
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await, ["1"]);
}

/// One poison message among 10,000 of a partition: all but its key's followers are through, and these come in
/// order after the replay.
#[tokio::test]
async fn p12_one_poison_message_among_ten_thousand() {
    const KEYS: usize = 100;
    const EACH: usize = 100;
    let world = a_world().await;
    let trial = world.start().await;
    for n in 0..EACH {
        for key in 0..KEYS {
            // The poison is the third message of one key.
            let how = if (key, n) == (42, 2) { How::Fail } else { How::Do };
            world.send(saga(key as u128), note(&format!("k-{key}"), n, how));
        }
    }
    world.applied().await;
    let dead = world.the_dead().await;
    assert_eq!(&*dead.key, "k-42");
    assert_eq!(world.held(HeldState::Waiting).await.len(), EACH - 3);
    assert_eq!(world.stored().await.len(), KEYS * EACH - (EACH - 2));
    assert_eq!(texts(&world, "k-42").await, ["0", "1"]);
    world.script.mend();
    rule(&trial.client, "replay").await;
    world.nothing_parked().await;
    world.answered().await;
    let in_order: Vec<String> = (0..EACH).map(|n| n.to_string()).collect();
    for key in 0..KEYS {
        assert_eq!(texts(&world, &format!("k-{key}")).await, in_order, "k-{key}");
    }
    world.level().await;
}
