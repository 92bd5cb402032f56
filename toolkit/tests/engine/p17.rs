//! P17: every append has a cause; a commit in doubt is looked up, a repeated command gets the first answer.

use quadrille::engine::CommandKey;

use crate::harness::*;

fn cause(n: u128) -> CauseId {
    CauseId(uuid::Uuid::from_u128(n))
}

fn announce(text: &str) -> Announce {
    Announce { key: "b".into(), text: text.into() }
}

async fn texts(world: &World) -> Vec<String> {
    world.all::<Announced>("b").await.into_iter().map(|announced| announced.text).collect()
}

#[tokio::test]
async fn p17_an_unknown_outcome_of_a_command_is_looked_up() {
    for fault in [Fault::UnknownCommitted, Fault::UnknownLost] {
        let world = World::new(1).await;
        let trial = world.start().await;
        world.store.script([fault; 2]);
        let receipt = trial.client.execute("b", announce("once")).await.unwrap().unwrap();
        assert_eq!(receipt.version, 1);
        assert_eq!(texts(&world).await, ["once"], "{fault:?}");
        // The relay learns the numbers as well.
        world.level().await;
        let receipt = trial.client.execute("b", announce("twice")).await.unwrap().unwrap();
        assert_eq!(receipt.version, 2, "{fault:?}");
        world.level().await;
    }
}

#[tokio::test]
async fn p17_an_unknown_outcome_of_a_batch_of_messages_is_looked_up() {
    for fault in [Fault::UnknownCommitted, Fault::UnknownLost] {
        let world = World::new(1).await;
        world.store.script([fault; 3]);
        let trial = world.start().await;
        for n in 0..10 {
            world.send(saga(1), Note { key: format!("o-{n}"), text: "hi".into(), how: How::Do });
        }
        world.applied().await;
        assert_eq!(world.stored().await.len(), 10, "{fault:?}");
        let appends = if fault == Fault::UnknownLost { 4 } else { 1 };
        assert_eq!(world.store.appends(), appends, "{fault:?}");
        for n in 0..10 {
            assert_eq!(
                world.script.calls("NOTE", &format!("o-{n}")),
                1,
                "{fault:?}: not decided again"
            );
        }
        world.level().await;
        until_true("the answer to be known", || async {
            trial.client.counters().messages_applied == 10
        })
        .await;
    }
}

#[tokio::test]
async fn p17_a_repeated_command_gets_the_first_answer() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let first = trial.client.execute_once(cause(1), "b", announce("one")).await.unwrap().unwrap();
    let Ok(_) = trial.client.execute("b", announce("between")).await.unwrap();
    let again = trial.client.execute_once(cause(1), "b", announce("one")).await.unwrap().unwrap();
    assert_eq!(first, again);
    assert_eq!(texts(&world).await, ["one", "between"]);
}

/// A refusal is an answer as well, although it would not be given now.
#[tokio::test]
async fn p17_a_repeated_command_gets_its_first_refusal() {
    let world = World::new(1).await;
    let trial = world.start().await;
    assert_eq!(
        trial.client.execute_once(cause(1), "sku", TakeOne).await.unwrap(),
        Err(NothingLeft)
    );
    let Ok(_) = trial.client.execute("sku", Fill(1)).await.unwrap();
    assert_eq!(
        trial.client.execute_once(cause(1), "sku", TakeOne).await.unwrap(),
        Err(NothingLeft)
    );
    trial.client.execute_once(cause(2), "sku", TakeOne).await.unwrap().unwrap();
}

#[tokio::test]
async fn p17_commands_with_one_id_at_the_same_time_are_one() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let mut repeated = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = trial.client.clone();
        repeated.spawn(async move { client.execute_once(cause(1), "b", announce("one")).await });
    }
    let answers = repeated.join_all().await;
    let first = answers[0].as_ref().unwrap().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().unwrap() == first), "{answers:?}");
    assert_eq!(texts(&world).await, ["one"]);
}

/// Two instances get the same command; one commits while the other's append is under way.
#[tokio::test]
async fn p17_a_command_that_another_instance_has_done_is_answered_by_its_answer() {
    let world = World::new(1).await;
    let (one, two) = (world.start().await, world.beside().await);
    world.store.hold();
    let client = one.client.clone();
    let late =
        tokio::spawn(async move { client.execute_once(cause(1), "b", announce("one")).await });
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    let first = two.client.execute_once(cause(1), "b", announce("one")).await.unwrap().unwrap();
    world.store.resume();
    assert_eq!(late.await.unwrap().unwrap().unwrap(), first);
    assert_eq!(texts(&world).await, ["one"]);
}

/// The process dies after the commit and before the answer; the caller asks again.
#[tokio::test]
async fn p17_a_command_repeated_after_a_crash_gets_the_first_answer() {
    let world = World::new(1).await;
    let first =
        world.start_with(|config| config.limits.backoff_first = Duration::from_secs(600)).await;
    world.store.script([Fault::UnknownCommitted]);
    let client = first.client.clone();
    let asked =
        tokio::spawn(async move { client.execute_once(cause(1), "b", announce("one")).await });
    until_true("the commit", || async { !world.stored().await.is_empty() }).await;
    assert!(!asked.is_finished());
    first.kill().await;
    assert!(asked.await.unwrap().is_err());
    let second = world.start().await;
    let receipt =
        second.client.execute_once(cause(1), "b", announce("one")).await.unwrap().unwrap();
    assert_eq!((receipt.version, receipt.saga), (1, world.stored().await[0].saga));
    assert_eq!(texts(&world).await, ["one"]);
}

fn key(key: &str, request: &str) -> Option<CommandKey> {
    Some(CommandKey::new("POST /boards", key, &[request.as_bytes()]))
}

/// The store has the request of the first; whoever asks for something else under its key is told.
#[tokio::test]
async fn p17_a_key_belongs_to_one_request() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let ask = |k, text: &'static str| trial.client.execute_keyed(k, "b", announce(text));
    let first = ask(key("k", "one"), "one").await.unwrap().unwrap();
    assert_eq!(ask(key("k", "one"), "one").await.unwrap().unwrap(), first);
    let reused = ask(key("k", "two"), "two").await;
    assert!(matches!(reused, Err(ClientError::KeyReused)), "{reused:?}");
    let bare =
        trial.client.execute_once(key("k", "one").unwrap().cause(), "b", announce("two")).await;
    assert!(matches!(bare, Err(ClientError::KeyReused)), "{bare:?}");
    let elsewhere = CommandKey::new("POST /others", "k", &[b"two"]);
    ask(Some(elsewhere), "two").await.unwrap().unwrap();
    ask(None, "three").await.unwrap().unwrap();
    assert_eq!(texts(&world).await, ["one", "two", "three"]);
    // After a restart as well.
    trial.kill().await;
    let trial = world.start().await;
    let again = trial.client.execute_keyed(key("k", "one"), "b", announce("one")).await;
    assert_eq!(again.unwrap().unwrap(), first);
    let reused = trial.client.execute_keyed(key("k", "two"), "b", announce("two")).await;
    assert!(matches!(reused, Err(ClientError::KeyReused)), "{reused:?}");
}

/// Of two different requests under one key at the same moment, one is carried out.
#[tokio::test]
async fn p17_of_two_requests_under_one_key_one_is_carried_out() {
    let world = World::new(1).await;
    let trials = [world.start().await, world.beside().await];
    for n in 0..50 {
        let k = n.to_string();
        let ask =
            |i: usize, text| trials[i].client.execute_keyed(key(&k, text), "b", announce(text));
        let answers = tokio::join!(ask(n % 2, "one"), ask((n / 2) % 2, "two"));
        match answers {
            (Ok(Ok(_)), Err(ClientError::KeyReused)) | (Err(ClientError::KeyReused), Ok(Ok(_))) => {
            }
            answers => panic!("{answers:?}"),
        }
        assert_eq!(texts(&world).await.len(), n + 1);
    }
}

/// Names are joined so that no other names give the same.
#[test]
fn p17_keys_of_different_parts_differ() {
    let keys = [
        CommandKey::new("ab", "c", &[b"d"]),
        CommandKey::new("a", "bc", &[b"d"]),
        CommandKey::new("abc", "", &[b"d"]),
    ];
    assert!(keys[0].cause() != keys[1].cause() && keys[1].cause() != keys[2].cause());
    assert_ne!(CommandKey::new("a", "b", &[b"cd", b""]), CommandKey::new("a", "b", &[b"c", b"d"]));
    // What is stored today must be found by tomorrow's program.
    assert_eq!(keys[0].cause().to_string(), "28a82a00-7296-53e6-88cb-5ae5a799af62");
}
