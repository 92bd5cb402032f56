//! P12: someone is told of each dead letter, in the append in which it dies, at least once.

use quadrille::{
    alert::DeadLetter,
    operator::RulingRequest,
    store::{AgendaChange, AgendaQuery, AgendaState, Append, HeldChange},
};

use crate::harness::*;

fn note(key: &str, how: How) -> Note {
    Note { key: key.into(), text: "x".into(), how }
}

async fn a_world(bell: &Bell) -> World {
    let mut world = World::with(1, |config| {
        config.retry.attempts_max = 2;
        config.limits.agenda_poll_every = Duration::from_millis(2);
        config.limits.rulings_poll_every = Duration::from_millis(2);
    })
    .await;
    world.bell = Some(bell.clone());
    world
}

/// Whether an append makes a message dead, and whether it asks for someone to be told.
fn dies_and_tells(append: &Append) -> (bool, bool) {
    let dies = append.held.iter().any(|change| match change {
        HeldChange::Hold(message) => message.state == HeldState::Dead,
        HeldChange::Update { state, .. } => *state == HeldState::Dead,
        HeldChange::Release { .. } => false,
    });
    let tells = append
        .agenda
        .iter()
        .any(|change| matches!(change, AgendaChange::Put(item) if item.name == DeadLetter::TYPE));
    (dies, tells)
}

async fn told(bell: &Bell, count: usize) -> Vec<(String, DeadLetter)> {
    until("the bell", || async {
        Some(bell.with(|heard| heard.letters.clone())).filter(|letters| letters.len() >= count)
    })
    .await
}

#[tokio::test]
async fn p12_a_death_and_its_alert_are_one_append() {
    let bell = Bell::default();
    let world = a_world(&bell).await;
    let trial = world.start().await;
    world.send(saga(7), note("o", How::Fail));
    world.send(saga(7), note("p", How::Terminal));
    let letters = told(&bell, 2).await;
    let appends = world.store.seen();
    let deaths = appends.iter().map(dies_and_tells).filter(|(dies, _)| *dies).count();
    assert!(deaths >= 1);
    for append in &appends {
        let (dies, tells) = dies_and_tells(append);
        assert_eq!(dies, tells, "{append:?}");
    }
    let (_, letter) = letters.iter().find(|(_, letter)| letter.key == "o").unwrap();
    assert_eq!((&*letter.service, &*letter.event_type, letter.attempts), ("trial", "NOTE", 2));
    assert_eq!(letter.saga.as_deref(), Some(&*saga(7).to_string()));
    assert!(letter.reason.contains("told to fail"), "{}", letter.reason);
    let listed = trial.client.letters().await.unwrap();
    assert!(
        listed.iter().any(|listed| listed.letter == letter.letter),
        "it is named as the list names it"
    );
}

/// A second death of the same letter is told of again.
#[tokio::test]
async fn p12_each_death_is_told_of() {
    let bell = Bell::default();
    let world = a_world(&bell).await;
    let trial = world.start().await;
    world.send(saga(7), note("o", How::Terminal));
    let first = told(&bell, 1).await.remove(0);
    let request = RulingRequest {
        letter: first.1.letter.clone(),
        attempts: first.1.attempts,
        action: "replay".to_owned(),
        who: "ada".to_owned(),
        note: "again".to_owned(),
        outcome: None,
    };
    trial.client.rule(request).await.unwrap();
    let second = told(&bell, 2).await.remove(1);
    assert_eq!((&second.1.letter, second.1.attempts), (&first.1.letter, 2));
    assert_ne!(second.0, first.0, "another call, with a key of its own");
}

/// The append is there, and the one who was to tell is gone: the next one tells.
#[tokio::test]
async fn p12_an_alert_survives_a_crash_between_the_append_and_the_telling() {
    let bell = Bell::default();
    bell.with(|heard| heard.how = Ring::Hang);
    let world = a_world(&bell).await;
    let first = world.start().await;
    world.send(saga(7), note("o", How::Terminal));
    until_true("the first ring", || async { bell.with(|heard| heard.rung) == 1 }).await;
    first.kill().await;
    assert_eq!(bell.with(|heard| heard.letters.len()), 0, "nobody was told yet");
    bell.with(|heard| heard.how = Ring::Hear);
    world.leases_expire();
    let _second = world.start().await;
    let letters = told(&bell, 1).await;
    assert_eq!(letters[0].1.key, "o");
}

/// An alert that cannot be told is dead, and listed; it does not ring for itself.
#[tokio::test]
async fn p12_an_alert_that_dies_does_not_alert() {
    let bell = Bell::default();
    bell.with(|heard| heard.how = Ring::Broken);
    let world = a_world(&bell).await;
    let trial = world.start().await;
    world.send(saga(7), note("o", How::Terminal));
    let dead = AgendaQuery { state: Some(AgendaState::Dead), limit: 10, ..AgendaQuery::default() };
    until_true("the alert's death", || async {
        !world.store.agenda(&dead).await.unwrap().is_empty()
    })
    .await;
    let rung = bell.with(|heard| heard.rung);
    assert_eq!(rung, 3, "once, and after each pause");
    let letters = trial.client.letters().await.unwrap();
    let mut kinds: Vec<&str> = letters.iter().map(|letter| letter.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["effect", "message"]);
    // Another death rings again, which shows that all of the first one is over.
    bell.with(|heard| heard.how = Ring::Hear);
    world.send(saga(7), note("p", How::Terminal));
    assert_eq!(told(&bell, 1).await[0].1.key, "p");
    assert_eq!(bell.with(|heard| heard.rung), rung + 1);
}
