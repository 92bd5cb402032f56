//! Every end of an order is told, once, in the words that the documentation promises.

use std::time::Duration;

use notification::{Notifications, State};
use order::{Orders, Status};
use payment::Payment;
use quadrille::{choreography::Choreography, effect::Schedule};
use serde_json::json;

use crate::{
    receiver::Receiver,
    world::{World, wait},
};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn every_end_is_told_once() {
    let receiver = Receiver::answering([204]).await;
    let mut world = World::half_open(receiver, Schedule::notification()).await;
    // Payment is not at work: neither of them gets anywhere.
    let cancelled = world.place("cancelled", LONG).await;
    world.cancel(&cancelled).await;
    let expired = world.place("expired", Duration::from_millis(1)).await;
    world.wait_for_end(&cancelled, Status::Cancelled).await;
    world.wait_for_end(&expired, Status::Expired).await;
    world.start_payment().await;
    world.supply(1).await;
    let concluded = world.place("concluded", LONG).await;
    world.wait_for_end(&concluded, Status::Concluded).await;
    let failed = world.place("failed", LONG).await;
    world.wait_for_end(&failed, Status::Failed).await;

    // It comes last, and hears of all that was before.
    world.start().await;
    for (order, kind, data) in [
        (&cancelled, "order.cancelled", json!({ "order": "cancelled" })),
        (&expired, "order.expired", json!({ "order": "expired" })),
        (&concluded, "order.concluded", json!({ "order": "concluded" })),
        (&failed, "order.failed", json!({ "order": "failed", "reason": "payment_declined" })),
    ] {
        let history = world.history(order, |history| history.state == State::Delivered).await;
        let got = world.receiver.got();
        let of_it: Vec<_> =
            got.iter().filter(|one| one.body()["data"]["order"] == order.as_str()).collect();
        assert_eq!(of_it.len(), 1, "{of_it:?}");
        let ended = history.ending.at.rfc3339();
        assert_eq!(of_it[0].body(), json!({ "type": kind, "timestamp": ended, "data": data }));
        assert_eq!(of_it[0].id, history.ending.event.to_string());
        assert!(of_it[0].is_signed());
        assert!((world.seconds() - of_it[0].timestamp) < 60, "the time of the try");
    }
    assert_eq!(world.receiver.got().len(), 4);
    world.close().await;
}

/// Nobody can wait for it: it states nothing that leaves its store, and the story without it is whole.
#[tokio::test]
async fn no_saga_can_depend_on_it() {
    let story = || {
        Choreography::new()
            .service::<Orders>()
            .service::<Payment>()
            .service::<inventory::Inventory>()
            .service::<shipping::Shipping>()
    };
    assert_eq!(story().problems().len(), 0);
    let with_it = story().service::<Notifications>();
    assert_eq!(with_it.problems().len(), 0, "{:?}", with_it.problems());
    let graph = with_it.graph();
    let own = graph.services.iter().find(|service| service.name == "notification").unwrap();
    assert_eq!(own.handlers.len(), 4);
    for emits in own.handlers.iter().map(|h| &h.emits).chain(own.commands.iter().map(|c| &c.emits))
    {
        assert_eq!(emits, &Vec::<&str>::new(), "{own:?}");
    }
    assert!(own.steps.is_empty() && own.compensations.is_empty(), "{own:?}");
}

/// The merchant's server takes requests and says nothing: orders end as quickly as ever.
#[tokio::test]
async fn a_merchant_that_hangs_delays_no_order() {
    let receiver = Receiver::answering([204]).await;
    receiver.hold(true);
    let world = World::open(receiver, Schedule::notification()).await;
    world.supply(40).await;
    let mut orders = vec![];
    for number in 0..40 {
        orders.push(world.place(&format!("o-{number}"), LONG).await);
    }
    for order in &orders {
        world.wait_for_end(order, Status::Concluded).await;
        world.history(order, |history| history.state == State::Pending).await;
    }
    // Free places are filled a quarter at a time.
    let told = wait("the first requests", async || {
        Some(world.receiver.got().len()).filter(|told| *told > 24)
    });
    assert!(told.await <= 32, "more at the same time than there may be");
    world.receiver.hold(false);
    for order in &orders {
        world.history(order, |history| history.state == State::Delivered).await;
    }
    assert_eq!(world.receiver.got().len(), 40);
    world.close().await;
}
