//! What is remembered so that nothing is done twice is forgotten after the stated time: under a clock that
//! is the test's own, hours take no time.

use quadrille::{
    engine::{CommandKey, Config, Engine, KEPT_MIN, Running},
    runtime::{BoxFuture, Clock, Runtime, Timestamp},
    store::memory::MemoryStore,
    testing::faulty_store::FaultyStore,
};

use crate::harness::*;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Tokio's clock, which a test may stop, as the time of the day.
#[derive(Debug)]
struct Stopped(tokio::time::Instant);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000_000).plus(self.0.elapsed())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

struct Timed {
    world: World,
    store: Arc<FaultyStore<MemoryStore>>,
    runtime: Runtime,
}

impl Timed {
    async fn new() -> Self {
        let world = World::with(1, |config| {
            config.limits.answers_kept = HOUR;
            config.limits.inbox_kept = 2 * HOUR;
            config.limits.janitor_every = MINUTE;
            config.limits.janitor_rows_max = 3;
            // Nobody wakes for nothing: hours would take long after all.
            config.limits.relay_poll_every = MINUTE;
            config.limits.agenda_poll_every = MINUTE;
            config.limits.lease_ttl = 5 * MINUTE;
            config.limits.backoff_last = MINUTE;
        })
        .await;
        let clock = Arc::new(Stopped(tokio::time::Instant::now()));
        let store = Arc::new(FaultyStore::new(MemoryStore::new(clock.clone())));
        Self { world, store, runtime: Runtime { clock, ..Runtime::tokio_seeded(7) } }
    }

    async fn start(&self) -> Running<Trial> {
        let service = Trial { script: Arc::default() };
        let (store, log) = (self.store.clone(), Arc::new(self.world.log.clone()));
        let engine = Engine::new(service, store, log, self.world.config.clone());
        engine.runtime(self.runtime.clone()).start().await.unwrap()
    }

    /// So many answers are stored under `o`.
    async fn answers(&self, count: usize) {
        until_true(&format!("{count} answers"), || async {
            self.store.lane_heads().await.unwrap() == [count as u64]
        })
        .await;
    }

    fn send(&self, id: &str) {
        let note = Note { key: "o".into(), text: id.into(), how: How::Do };
        let event =
            Foreign { at: self.runtime.clock.now(), ..Foreign::new(id, "o", "NOTE", &note) };
        event.send(&self.world);
    }
}

fn key(n: u32) -> CommandKey {
    CommandKey::new("a route", &n.to_string(), &[b"request"])
}

async fn fill(running: &Running<Trial>, n: u32) -> u64 {
    running.client().execute_keyed(Some(key(n)), "sku", Fill(1)).await.unwrap().unwrap().version
}

#[tokio::test(start_paused = true)]
async fn p17_a_key_is_free_again_after_the_stated_time_and_not_before() {
    let timed = Timed::new().await;
    let trial = timed.start().await;
    for n in 0..10 {
        assert_eq!(fill(&trial, n).await, u64::from(n) + 1);
    }
    tokio::time::sleep(HOUR - 2 * MINUTE).await;
    assert_eq!(fill(&trial, 4).await, 5, "the first answer");
    assert_eq!(trial.client().counters().causes_pruned, 0);
    tokio::time::sleep(4 * MINUTE).await;
    // Ten answers and what their appends are known by, three rows at a time.
    assert_eq!(trial.client().counters().causes_pruned, 20);
    assert_eq!(fill(&trial, 4).await, 11, "a new command");
}

#[tokio::test(start_paused = true)]
async fn p04_an_event_is_remembered_for_the_stated_time() {
    let timed = Timed::new().await;
    let trial = timed.start().await;
    for n in 0..7 {
        timed.send(&n.to_string());
    }
    timed.answers(7).await;
    tokio::time::sleep(2 * HOUR - 2 * MINUTE).await;
    timed.send("3");
    timed.send("new");
    timed.answers(8).await;
    let counters = trial.client().counters();
    assert_eq!((counters.messages_duplicate, counters.inbox_pruned), (1, 0));
    tokio::time::sleep(4 * MINUTE).await;
    assert_eq!(trial.client().counters().inbox_pruned, 7);
    timed.send("3");
    timed.answers(9).await;
}

/// One instance cleans; when it is gone, another does.
#[tokio::test(start_paused = true)]
async fn p09_one_instance_is_the_janitor() {
    let timed = Timed::new().await;
    let (one, two) = (timed.start().await, timed.start().await);
    let pruned = |running: &Running<Trial>| running.client().counters().causes_pruned;
    for n in 0..20 {
        fill(if n % 2 == 0 { &one } else { &two }, n).await;
        tokio::time::sleep(MINUTE).await;
    }
    tokio::time::sleep(HOUR).await;
    let (by_one, by_two) = (pruned(&one), pruned(&two));
    assert!(by_one.min(by_two) == 0, "{by_one} {by_two}");
    assert!(by_one.max(by_two) > 20, "{by_one} {by_two}");
    let (gone, left) = if by_two == 0 { (one, two) } else { (two, one) };
    assert!(gone.shutdown(HOUR).await);
    for n in 20..30 {
        fill(&left, n).await;
    }
    tokio::time::sleep(HOUR + 5 * MINUTE).await;
    assert!(pruned(&left) >= 20, "{}", pruned(&left));
}

/// Whoever cannot learn whether his commit was done stops before the store forgets that it was.
#[tokio::test(start_paused = true)]
async fn p17_a_commit_in_doubt_is_given_up_before_its_cause_is_forgotten() {
    for fault in [Fault::UnknownCommitted, Fault::UnknownLost] {
        let timed = Timed::new().await;
        let trial = timed.start().await;
        timed.send("first");
        timed.answers(1).await;
        // While one append is under way, a command and a message come together.
        timed.store.hold();
        let ask = |id: &'static str, n| {
            let client = trial.client();
            tokio::spawn(async move { client.execute_keyed(Some(key(n)), id, Fill(1)).await })
        };
        let before = ask("other", 0);
        tokio::time::sleep(MINUTE).await;
        let doubtful = ask("sku", 1);
        timed.send("second");
        tokio::time::sleep(MINUTE).await;
        timed.store.script([Fault::Pass, fault]);
        timed.store.hide_outcomes();
        timed.store.resume();
        before.await.unwrap().unwrap().unwrap();
        let began = timed.runtime.clock.now();
        let answer = doubtful.await.unwrap();
        assert!(matches!(answer, Err(ClientError::Unavailable(_))), "{answer:?}");
        let waited = timed.runtime.clock.now().since(began);
        assert!(waited >= HOUR / 2 && waited < HOUR, "{fault:?}: {waited:?}");
        timed.store.heal();
        timed.answers(2).await;
        until_true("readiness", || async { trial.client().health().ready }).await;
        let version = fill(&trial, 1).await;
        assert_eq!(version, 1, "{fault:?}: once, and by its key");
        timed.send("third");
        timed.answers(3).await;
    }
}

#[tokio::test]
async fn p17_nothing_is_kept_for_less_than_safety_needs() {
    let world = World::new(1).await;
    let short = |adapt: fn(&mut Config)| {
        let mut config = world.config.clone();
        adapt(&mut config);
        world.try_start(config)
    };
    let short = [
        short(|c| c.limits.answers_kept = KEPT_MIN - MINUTE).await,
        short(|c| c.limits.inbox_kept = KEPT_MIN - MINUTE).await,
        short(|c| c.limits.janitor_rows_max = 0).await,
    ];
    for refused in short {
        let reason = refused.expect_err("it is refused").to_string();
        assert!(reason.contains("limits."), "{reason}");
    }
}
