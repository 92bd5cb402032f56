//! Shipping is the one judge of whether a cancellation came in time.

use quadrille::{
    DomainEvent,
    id::SagaId,
    testing::{Said, Stage},
};
use schemas::*;
use shipping::Shipping;

fn saga() -> SagaId {
    "00000000-0000-7000-8000-000000000001".parse().unwrap()
}

fn prepared(destination: &str) -> OrderPrepared {
    let price = Money::new(10, "EUR".parse().unwrap()).unwrap();
    let line = OrderLine { sku: "tea".parse().unwrap(), quantity: 1.try_into().unwrap(), price };
    OrderPrepared {
        order: "o-1".parse().unwrap(),
        lines: vec![line].try_into().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn cancellation() -> OrderCancellationRequested {
    let reason = CancellationReason::Customer;
    OrderCancellationRequested { order: "o-1".parse().unwrap(), reason }
}

/// The types of what is stated when these arrive in order.
#[derive(Default)]
struct Arrivals(Option<Stage<Shipping>>);

impl Arrivals {
    fn then(mut self, event: &impl DomainEvent) -> Self {
        let stage = self.0.get_or_insert_with(|| Stage::new(Shipping::default()));
        stage.deliver(&Said::by_another(event, saga())).unwrap();
        self
    }

    fn state(self, expected: &[&str]) {
        let stage = self.0.unwrap();
        let said: Vec<&str> = stage.said().iter().map(|said| said.event_type).collect();
        assert_eq!(said, expected);
    }
}

fn arrives(event: &impl DomainEvent) -> Arrivals {
    Arrivals::default().then(event)
}

#[test]
fn delivers_once() {
    arrives(&prepared("FR")).then(&prepared("FR")).state(&["ORDER_DELIVERED"]);
}

#[test]
fn fails_where_no_carrier_goes() {
    for country in shipping::NOT_SERVED {
        arrives(&prepared(country)).state(&["SHIPMENT_FAILED"]);
    }
}

#[test]
fn a_cancellation_after_the_delivery_is_refused() {
    arrives(&prepared("FR"))
        .then(&cancellation())
        .state(&["ORDER_DELIVERED", "CANCELLATION_REFUSED"]);
}

#[test]
fn a_cancellation_before_it_is_in_time_and_a_late_order_is_not_delivered() {
    arrives(&cancellation()).then(&prepared("FR")).state(&["SHIPMENT_CANCELLED"]);
    arrives(&cancellation()).then(&prepared("AQ")).state(&["SHIPMENT_CANCELLED"]);
}

#[test]
fn a_cancellation_is_answered_once() {
    arrives(&cancellation()).then(&cancellation()).state(&["SHIPMENT_CANCELLED"]);
    arrives(&prepared("AQ")).then(&cancellation()).state(&["SHIPMENT_FAILED"]);
}
