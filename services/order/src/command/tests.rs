use quadrille::testing::{Given, given};
use schemas::{Money, OrderLine};

use super::*;

fn place() -> PlaceOrder {
    let price = Money::new(150, "EUR".parse().unwrap()).unwrap();
    let line = OrderLine { sku: "tea".parse().unwrap(), quantity: 2.try_into().unwrap(), price };
    PlaceOrder {
        order: id(),
        customer: "c-1".parse().unwrap(),
        account: "a-1".parse().unwrap(),
        lines: vec![line].try_into().unwrap(),
        destination: "FR".parse().unwrap(),
        finish_within: FINISH_WITHIN,
    }
}

fn id() -> OrderId {
    "o-1".parse().unwrap()
}

fn created() -> OrderCreated {
    let PlaceOrder { order, customer, account, lines, destination, .. } = place();
    OrderCreated { order, customer, account, total: lines.total(), lines, destination }
}

fn requested(reason: CancellationReason) -> OrderCancellationRequested {
    OrderCancellationRequested { order: id(), reason }
}

fn concluded() -> OrderConcluded {
    OrderConcluded { order: id(), customer: created().customer, total: created().total }
}

fn failed(why: FailureReason) -> OrderFailed {
    OrderFailed { order: id(), why }
}

fn cancelled(reason: CancellationReason) -> OrderCancelled {
    OrderCancelled { order: id(), reason }
}

fn status(given: &Given) -> Option<Status> {
    given.state::<Order>().status()
}

use CancellationReason::{Customer, Expired};

#[test]
fn is_placed_once_and_asking_again_changes_nothing() {
    let placed = given(()).when(place()).then((created(),)).when(place()).then_nothing();
    assert_eq!(status(&placed), Some(Status::Pending));
    let other = PlaceOrder { destination: "DE".parse().unwrap(), ..place() };
    given((created(),)).when(other).then_refused(PlaceRefused::IdTaken);
    given((created(), concluded())).when(place()).then_nothing();
}

#[test]
fn a_delivery_concludes_it_also_when_it_should_have_been_cancelled() {
    given((created(),)).when(Conclude).then((concluded(),)).when(Conclude).then_nothing();
    given((created(), requested(Customer)))
        .when(Conclude)
        .then((concluded(),))
        .when(RefuseCancellation)
        .then((CancellationWasRefused {},))
        .when(RefuseCancellation)
        .then_nothing();
}

#[test]
fn a_failure_ends_it_in_every_state_that_is_not_an_end() {
    let out_of_stock = || Fail { why: FailureReason::OutOfStock };
    let end = failed(FailureReason::OutOfStock);
    given((created(),)).when(out_of_stock()).then((end.clone(),));
    given((created(), requested(Customer))).when(out_of_stock()).then((end.clone(),));
    given((created(), requested(Customer), CancellationWasRefused {}))
        .when(out_of_stock())
        .then((end,));
}

#[test]
fn the_first_request_decides_between_cancelled_and_expired() {
    for (first, second, then) in
        [(Customer, Expired, Status::Cancelled), (Expired, Customer, Status::Expired)]
    {
        let end = given((created(),))
            .when(CancelOrder { reason: first })
            .then((requested(first),))
            .when(CancelOrder { reason: second })
            .then_nothing()
            .when(ConfirmCancellation)
            .then((cancelled(first),));
        assert_eq!(status(&end), Some(then));
        end.when(CancelOrder { reason: first })
            .then_nothing()
            .when(CancelOrder { reason: second })
            .then_refused(CancelRefused::Ended(then));
    }
}

#[test]
fn what_has_ended_or_never_was_cannot_be_cancelled() {
    let cancel = || CancelOrder { reason: Customer };
    given(()).when(cancel()).then_refused(CancelRefused::UnknownOrder);
    given((created(), concluded()))
        .when(cancel())
        .then_refused(CancelRefused::Ended(Status::Concluded));
    given((created(), failed(FailureReason::NotDeliverable)))
        .when(cancel())
        .then_refused(CancelRefused::Ended(Status::Failed));
}

#[test]
fn an_end_absorbs_whatever_comes_later() {
    let ends = [
        || given((created(), concluded())),
        || given((created(), failed(FailureReason::PaymentDeclined))),
        || given((created(), requested(Customer), cancelled(Customer))),
        || given((created(), requested(Expired), cancelled(Expired))),
    ];
    for end in ends {
        let before = end().state::<Order>().end();
        let after = end()
            .when(Conclude)
            .then_nothing()
            .when(Fail { why: FailureReason::OutOfStock })
            .then_nothing()
            .when(ConfirmCancellation)
            .then_nothing();
        assert_eq!(after.state::<Order>().end(), before);
    }
}

#[test]
fn what_concerns_an_order_that_nobody_placed_changes_nothing() {
    given(())
        .when(Conclude)
        .then_nothing()
        .when(Fail { why: FailureReason::OutOfStock })
        .then_nothing()
        .when(ConfirmCancellation)
        .then_nothing()
        .when(RefuseCancellation)
        .then_nothing();
}
