//! P16: shutdown drains within its time; killing instead is always safe.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use quadrille::log::memory::{ProducerEpoch, PublishHook, PublishStep, StepFate};

use crate::harness::*;

fn note(n: usize) -> Note {
    Note { key: format!("o-{}", n % 7), text: n.to_string(), how: How::Do }
}

#[tokio::test]
async fn p16_shutdown_finishes_what_it_took_and_publishes_it() {
    // The relay gets next to nothing from memory: at the end it must look into the store.
    let world = World::with(2, |config| {
        config.limits.batch_works_max = 10;
        config.limits.relay_fresh_max = 1;
        config.limits.relay_poll_every = Duration::from_secs(600);
    })
    .await;
    let trial = world.start().await;
    let mut announcing = tokio::task::JoinSet::new();
    for n in 0..50 {
        world.send(saga(1), note(n));
        let client = trial.client.clone();
        announcing.spawn(async move {
            client.execute("b", Announce { key: "b".into(), text: n.to_string() }).await
        });
    }
    until_true("some work", || async { world.script.calls("NOTE", "o-0") > 0 }).await;
    assert!(trial.shutdown(DEADLINE).await);
    // Nothing runs any more: what is appended must be in the log.
    for lane in 0..2 {
        assert_eq!(world.published(lane).await, world.in_store(lane).await);
    }
    let announced = world.all::<Announced>("b").await.len();
    let answers = announcing.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), announced);
    assert!(
        answers
            .iter()
            .all(|answer| !matches!(answer, Err(e) if !matches!(e, ClientError::ShuttingDown)))
    );
    // And what was not taken is taken by the next one.
    let _next =
        world.start_with(|config| config.limits.relay_poll_every = Duration::from_millis(5)).await;
    world.applied().await;
    let noted: usize = world
        .positions()
        .await
        .iter()
        .filter(|(s, _)| s.topic == world.topic("up"))
        .map(|(_, n)| usize::try_from(*n).unwrap())
        .sum();
    assert_eq!(noted, 50);
    world.level().await;
}

#[tokio::test]
async fn p16_after_shutdown_commands_are_told_so() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let client = trial.client.clone();
    assert!(trial.shutdown(DEADLINE).await);
    let refused = client.execute("b", Announce { key: "b".into(), text: String::new() }).await;
    assert!(matches!(refused, Err(ClientError::ShuttingDown)), "{refused:?}");
}

/// A store or a log that does not answer: shutdown gives up in time, and nothing is lost by it.
#[tokio::test]
async fn p16_shutdown_keeps_its_time() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.store.hold();
    world.send(saga(1), note(0));
    until_true("the append", || async { world.store.held_up() == 1 }).await;
    let asked = Instant::now();
    assert!(!trial.shutdown(Duration::from_millis(50)).await);
    assert!(asked.elapsed() < DEADLINE / 2);

    let world = World::new(1).await;
    let broker = Broker::of(&world);
    let trial = world.start().await;
    broker.script(std::iter::repeat_n((PublishStep::Commit, StepFate::LoseRequest), 1_000_000));
    world.send(saga(1), note(0));
    world.applied().await;
    let asked = Instant::now();
    assert!(!trial.shutdown(Duration::from_millis(50)).await);
    assert!(asked.elapsed() < DEADLINE / 2, "{:?}", asked.elapsed());
    let tries = broker.seen(PublishStep::Commit).len();
    assert!(tries < 200, "{tries} tries in 50 ms: it spins");
}

/// Killed after so many steps, for many numbers of steps: nothing lost, nothing twice.
#[tokio::test]
async fn p16_killing_at_any_moment_is_safe() {
    let world = World::with(2, |config| config.limits.batch_works_max = 4).await;
    let _broker = Broker::of(&world);
    for round in 0..30 {
        (0..7).for_each(|n| drop(world.send(saga(1), note(round * 7 + n))));
        let trial = world.start().await;
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        trial.kill().await;
        world.leases_expire();
    }
    let _trial = world.start().await;
    world.applied().await;
    for key in 0..7 {
        let noted = world.all::<Noted>(&format!("o-{key}")).await;
        let texts: Vec<String> = noted.into_iter().map(|noted| noted.text).collect();
        let expected: Vec<String> = (0..30).map(|round| (round * 7 + key).to_string()).collect();
        assert_eq!(texts, expected);
    }
    world.level().await;
}

#[tokio::test]
async fn p16_a_pace_holds_up_neither_the_first_nor_the_drain() {
    let hour = Duration::from_secs(3_600);
    let world = World::with(1, |config| {
        config.limits.pace_under_load = hour;
        config.limits.relay_pace_under_load = hour;
    })
    .await;
    let trial = world.start().await;
    let announce = |text: String| Announce { key: "b".into(), text };
    // Alone: answered and published although an hour is allowed; the next one, too.
    for text in ["first", "second"] {
        let Ok(_receipt) = trial.client.execute("b", announce(text.into())).await.unwrap();
    }
    until_true("it is published", || async { !world.published(0).await.is_empty() }).await;
    // Two in haste are load, by an hour's measure: what follows them waits, for the pace or for the end.
    let mut announcing = tokio::task::JoinSet::new();
    for n in 0..20 {
        let client = trial.client.clone();
        let command = announce(n.to_string());
        announcing.spawn(async move { client.execute("b", command).await });
    }
    tokio::task::yield_now().await;
    assert!(trial.shutdown(DEADLINE).await, "the drain waited for the pace");
    assert!(announcing.join_all().await.iter().all(Result::is_ok));
    assert_eq!(world.published(0).await.len(), 22);
    assert_eq!(world.published(0).await, world.in_store(0).await);
}

/// Lets everything pass, and notes when.
#[derive(Debug)]
struct Tired {
    rest: Duration,
    steps: Mutex<Vec<(PublishStep, Instant)>>,
}

/// Publishes four events to a log that rests so long after each commit.
async fn published_to_a_tired_log(world: &World, rest: Duration) -> Arc<Tired> {
    let log = Arc::new(Tired { rest, steps: Mutex::default() });
    world.log.set_publish_hook(Some(log.clone()));
    let trial = world.start().await;
    for n in 0..4 {
        let announce = Announce { key: "b".into(), text: n.to_string() };
        let Ok(_receipt) = trial.client.execute("b", announce).await.unwrap();
    }
    world.level().await;
    log
}

#[async_trait::async_trait]
impl PublishHook for Tired {
    async fn before(&self, _: &ProducerEpoch, step: PublishStep) -> StepFate {
        self.steps.lock().unwrap().push((step, Instant::now()));
        StepFate::Proceed
    }

    fn rest(&self) -> Duration {
        self.rest
    }
}

#[tokio::test]
async fn p16_a_log_that_rests_after_a_commit_is_left_alone_meanwhile() {
    const REST: Duration = Duration::from_millis(150);
    let log = published_to_a_tired_log(&World::new(1).await, REST).await;
    let steps = log.steps.lock().unwrap();
    let commits = steps.iter().filter(|(step, _)| *step == PublishStep::Commit);
    let begins = steps.iter().filter(|(step, _)| *step == PublishStep::Begin).skip(1);
    let rests: Vec<Duration> =
        commits.zip(begins).map(|((_, commit), (_, begin))| *begin - *commit).collect();
    assert!(!rests.is_empty(), "what came during the rest goes into another transaction");
    assert!(rests.iter().all(|rest| *rest >= REST), "{rests:?}");
}

/// A rest is for what comes meanwhile, and there it finds no place.
#[tokio::test]
async fn p16_a_full_round_does_not_wait_for_the_log_to_rest() {
    let world = World::with(1, |config| config.limits.relay_records_max = 1).await;
    published_to_a_tired_log(&world, Duration::from_secs(3_600)).await;
}

#[tokio::test]
async fn p16_a_batch_is_bounded_by_bytes_too() {
    let appends_within = async |bytes| {
        let world = World::with(1, |config| config.limits.batch_bytes_max = bytes).await;
        let trial = world.start().await;
        // What a command decides is not known before its stream is loaded.
        let announce = Announce { key: "b".into(), text: "first".into() };
        let Ok(_receipt) = trial.client.execute("b", announce).await.unwrap();
        let mut announcing = tokio::task::JoinSet::new();
        for n in 0..20 {
            let (client, announce) =
                (trial.client.clone(), Announce { key: "b".into(), text: n.to_string() });
            announcing.spawn(async move { client.execute("b", announce).await });
        }
        assert!(announcing.join_all().await.iter().all(Result::is_ok));
        world.level().await;
        trial.client.counters().appends
    };
    assert_eq!(appends_within(1).await, 21, "whatever is decided is the last of its batch");
    assert!(appends_within(1024 * 1024).await < 21, "else this tests nothing");
}
