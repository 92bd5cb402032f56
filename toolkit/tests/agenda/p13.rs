//! P13: deadlines are rows, set and cleared in the append, fired through the append path exactly once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quadrille::{
    runtime::{Runtime, Timestamp},
    store::{
        AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AppendError, EventStore,
        memory::MemoryStore,
    },
    testing::faulty_store::FaultyStore,
};

use crate::booking::*;

pub async fn p13_a_deadline_comes_back_at_its_time_once(world: World) {
    let running = world.start().await;
    let client = running.client();
    let booking = "b-1".to_owned();
    let within = Some(Duration::from_millis(20));
    let _ = client.execute("b-1", Book { booking, within, pay: false }).await.unwrap();
    until("the deadline", || async {
        client.load::<Booking>("b-1").await.unwrap().is_some_and(|b| b.expired == 1)
    })
    .await;
    until("the count", || async { client.counters().deadlines_fired == 1 }).await;
    assert_eq!(world.items().await, []);
    let said = client.participation("b-1").await.unwrap();
    assert!(said.last::<TimeIsUp>().unwrap().is_some(), "the firing is a fact: {said:?}");
}

pub async fn p13_a_cleared_deadline_does_not_come(world: World) {
    let running = world.start().await;
    let client = running.client();
    // Long enough for a busy machine to settle the first before it is due; the second is due after it.
    let within = Some(Duration::from_millis(1_500));
    for (name, settled) in [("b-1", true), ("b-2", false)] {
        let booking = name.to_owned();
        let book = Book { booking: booking.clone(), within, pay: false };
        let _ = client.execute(name, book).await.unwrap();
        if settled {
            let settle = Settle { booking, receipt: "by hand".to_owned() };
            let _ = client.execute(name, settle).await.unwrap();
        }
    }
    until("the other deadline", || async { client.counters().deadlines_fired == 1 }).await;
    assert_eq!(client.load::<Booking>("b-1").await.unwrap().unwrap().expired, 0);
    assert_eq!(client.load::<Booking>("b-2").await.unwrap().unwrap().expired, 1);
}

/// It is claimed, and comes into the very batch in which a command has cleared it: what was claimed is void.
#[tokio::test]
async fn p13_a_deadline_that_its_own_batch_has_cleared_does_not_come() {
    let store = Arc::new(FaultyStore::new(MemoryStore::default()));
    let world = World::on(store.clone());
    let running = world.start().await;
    let client = running.client();
    let book = |booking: &str, within| Book { booking: booking.to_owned(), within, pay: false };
    let within = Some(Duration::from_millis(1_500));
    let _ = client.execute("b-1", book("b-1", within)).await.unwrap();
    let set = world.items().await.remove(0);
    // While this append is held up, all that comes is one batch.
    store.hold();
    let first = client.execute("b-2", book("b-2", None));
    let clearing = async {
        until("the append", || async { store.held_up() == 1 }).await;
        let settle = Settle { booking: "b-1".to_owned(), receipt: "by hand".to_owned() };
        client.execute("b-1", settle).await
    };
    let resuming = async {
        until("the claim", || async { world.items().await[0].token != set.token }).await;
        store.resume();
    };
    let (first, cleared, ()) = tokio::join!(first, clearing, resuming);
    let _ = (first.unwrap(), cleared.unwrap());
    until("the end of it", || async { world.items().await.is_empty() }).await;
    assert_eq!(client.load::<Booking>("b-1").await.unwrap().unwrap().expired, 0);
    assert_eq!(client.counters().deadlines_fired, 0);
}

/// Who has claimed it hangs in its append: another fires it after the lease, and what the first had decided is
/// void.
#[tokio::test]
async fn p13_a_deadline_that_an_engine_has_claimed_and_not_committed_is_fired_by_another() {
    let memory = MemoryStore::default();
    let store = Arc::new(FaultyStore::new(memory.clone()));
    let world = World::on(store.clone());
    let one = world.start().await;
    let (booking, within) = ("b-1".to_owned(), Some(Duration::from_secs(1)));
    let book = Book { booking, within, pay: false };
    let _ = one.client().execute("b-1", book).await.unwrap();
    store.hold();
    until("the firing", || async { store.held_up() == 1 }).await;
    // Else it would claim it again when its own lease ends, as likely as the other.
    store.hide_agenda();
    let two = world.start_as("two", Arc::new(memory)).await;
    let client = two.client();
    until("the deadline", || async {
        client.load::<Booking>("b-1").await.unwrap().is_some_and(|b| b.expired > 0)
    })
    .await;
    store.resume();
    let book = Book { booking: "b-2".to_owned(), within: None, pay: false };
    let _ = one.client().execute("b-2", book).await.unwrap();
    assert_eq!(client.load::<Booking>("b-1").await.unwrap().unwrap().expired, 1);
    assert_eq!(one.client().counters().deadlines_fired, 0);
}

const MANY: usize = 150;

/// Two instances on one store, both looking for what is due: each deadline fires in one of them, once.
pub async fn p13_two_engines_fire_each_deadline_once(
    mut world: World,
    second: Arc<dyn EventStore>,
) {
    // Few at a time: both come to claim some.
    world.config.limits.agenda_claim_max = 4;
    let one = world.start().await;
    let two = world.start_as("two", second).await;
    let clients = [one.client(), two.client()];
    for n in 0..MANY {
        let booking = format!("b-{n}");
        // Due together, so that both instances reach for the same ones.
        let within = Some(Duration::from_millis(300));
        let book = Book { booking: booking.clone(), within, pay: false };
        let _ = clients[n % 2].execute(&*booking, book).await.unwrap();
    }
    until("the last deadline", || async { world.items().await.is_empty() }).await;
    for n in 0..MANY {
        let booking = clients[0].load::<Booking>(&format!("b-{n}")).await.unwrap().unwrap();
        assert_eq!(booking.expired, 1, "b-{n}");
    }
    let fired = || clients.iter().map(|client| client.counters().deadlines_fired).sum::<u64>();
    until("the count", || async { fired() >= MANY as u64 }).await;
    assert_eq!(fired(), MANY as u64);
}

/// An instance has claimed it and is gone: nobody fires it before the lease has expired, and then somebody
/// does, once. What the dead one had decided is void.
pub async fn p13_a_deadline_of_a_dead_instance_fires_after_its_lease(world: World) {
    let running = world.start().await;
    let (booking, within) = ("b-1".to_owned(), Some(Duration::from_secs(3600)));
    let book = Book { booking, within, pay: false };
    let _ = running.client().execute("b-1", book).await.unwrap();
    assert!(running.shutdown(DEADLINE).await);
    let set = world.items().await.remove(0);
    let due = Timestamp(1);
    let (id, token, state) = (set.id, set.token, set.state);
    let (attempts, begun, outcome, reason) = (0, false, None, String::new());
    world
        .change(AgendaChange::Update { id, token, due, state, attempts, begun, outcome, reason })
        .await
        .unwrap();

    let lease = Duration::from_millis(500);
    let claim = AgendaClaim {
        kind: AgendaKind::Deadline,
        names: vec![set.name.clone()],
        now: due,
        token: Runtime::tokio().new_uuid(),
        lease,
        limit: 1,
    };
    let claimed_at = Instant::now();
    let claimed = world.store.claim_agenda(&claim).await.unwrap();
    assert_eq!(claimed, [AgendaItem { due, token: claim.token, ..set }]);
    let running = world.start().await;
    let client = running.client();
    until("the deadline", || async {
        client.load::<Booking>("b-1").await.unwrap().is_some_and(|b| b.expired > 0)
    })
    .await;
    // A clock that counts milliseconds may round by one.
    assert!(claimed_at.elapsed() + Duration::from_millis(2) >= lease, "it was another's");
    match world.change(AgendaChange::Done { id, token: claim.token }).await {
        Err(AppendError::AgendaChanged { ids }) => assert_eq!(ids, [id]),
        other => panic!("{other:?}"),
    }
    until("the count", || async { client.counters().deadlines_fired == 1 }).await;
    assert_eq!(world.items().await, []);
    assert_eq!(client.load::<Booking>("b-1").await.unwrap().unwrap().expired, 1);
}
