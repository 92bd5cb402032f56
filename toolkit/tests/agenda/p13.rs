//! P13: deadlines are rows, set and cleared in the append, fired through the append path exactly once.

use std::time::Duration;

use quadrille::store::{AgendaQuery, EventStore};

use crate::booking::*;

#[tokio::test]
async fn p13_a_deadline_comes_back_at_its_time_once() {
    let world = World::new();
    let running = world.start().await;
    let client = running.client();
    let booking = "b-1".to_owned();
    let within = Some(Duration::from_millis(20));
    let _ = client.execute("b-1", Book { booking, within, pay: false }).await.unwrap();
    until("the deadline", || async {
        client.load::<Booking>("b-1").await.unwrap().is_some_and(|b| b.expired == 1)
    })
    .await;
    assert_eq!(client.counters().deadlines_fired, 1);
    assert!(world.store.agenda(&all()).await.unwrap().is_empty());
    let said = client.participation("b-1").await.unwrap();
    assert!(said.last::<TimeIsUp>().unwrap().is_some(), "the firing is a fact: {said:?}");
}

#[tokio::test]
async fn p13_a_cleared_deadline_does_not_come() {
    let world = World::new();
    let running = world.start().await;
    let client = running.client();
    let within = Some(Duration::from_millis(40));
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

fn all() -> AgendaQuery {
    AgendaQuery { limit: 100, ..AgendaQuery::default() }
}
