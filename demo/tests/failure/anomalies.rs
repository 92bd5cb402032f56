//! The anomalies that TCC is known for, as orders of events over the running engine and the real gateway:
//! each leaves one effect or none, and a record of why.

use gateway::Trouble;
use payment::AccountCharged;
use quadrille::{DomainEvent as _, barrier::StepState};
use schemas::*;

use crate::{shop::*, upstream::*};

const ORDER: &str = "o-1";

/// Payment alone, with what the others say in a test's hand.
struct Case {
    shop: Shop,
    others: Upstream,
}

impl Case {
    async fn new() -> Self {
        let mut shop = Shop::closed().await;
        let others = Upstream::on(&shop.log).await;
        shop.start_payment().await;
        Self { shop, others }
    }

    /// The try.
    fn created(&self) {
        let line = OrderLine {
            sku: "tea".parse().unwrap(),
            quantity: 1.try_into().unwrap(),
            price: Money::new(PRICE, "EUR".parse().unwrap()).unwrap(),
        };
        let lines: OrderLines = vec![line].try_into().unwrap();
        self.others.say(&OrderCreated {
            order: ORDER.parse().unwrap(),
            customer: "ann".parse().unwrap(),
            account: "ann".parse().unwrap(),
            total: lines.total(),
            lines,
            destination: "NL".parse().unwrap(),
        });
    }

    /// The cancel.
    fn cancelled(&self) {
        self.others.say(&ShipmentCancelled { order: ORDER.parse().unwrap() });
    }

    async fn step(&self) -> StepState {
        let stated = self.shop.payment().participation(ORDER).await.expect("an answer");
        stated.step(saga(), BilledOrder::TYPE)
    }

    async fn until(&self, state: StepState) {
        until(&format!("{state:?}"), || async { self.step().await == state }).await;
    }

    /// All that was said is applied, and no effect is pending.
    async fn until_applied(&self) {
        let said = self.others.said();
        until("all applied", || self.shop.payment_has_read(&said)).await;
        self.shop.until_quiet().await;
    }

    /// What the gateway did and has: charges, refunds, funds.
    fn gateway(&self) -> (u64, u64, u64) {
        let totals = self.shop.office.totals();
        (totals.charges_approved, totals.refunds_made, totals.money["EUR"].funds)
    }

    async fn payment_said(&self) -> Vec<String> {
        let events = self.shop.events().await;
        events.iter().map(|event| event.event_type.to_string()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_cancel_before_try_leaves_a_tombstone_and_the_late_try_charges_nothing() {
    let case = Case::new().await;
    case.cancelled();
    case.until(StepState::Tombstone).await;
    case.created();
    case.until_applied().await;
    assert_eq!(case.step().await, StepState::Tombstone);
    assert_eq!(case.gateway(), (0, 0, FUNDS));
    assert_eq!(case.payment_said().await, [""; 0], "no business failure is stated for it");
    case.shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_double_cancel_refunds_once() {
    let case = Case::new().await;
    case.created();
    case.until(StepState::Done).await;
    case.cancelled();
    case.cancelled();
    case.until_applied().await;
    case.cancelled();
    case.until_applied().await;
    assert_eq!(case.step().await, StepState::Undone);
    assert_eq!(case.gateway(), (1, 1, FUNDS));
    assert_eq!(case.payment_said().await, ["BILLED_ORDER", "PAYMENT_REFUNDED"]);
    case.shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_double_try_charges_once() {
    let case = Case::new().await;
    case.created();
    case.created();
    case.until_applied().await;
    case.created();
    case.until_applied().await;
    assert_eq!(case.gateway(), (1, 0, FUNDS - PRICE));
    assert_eq!(case.payment_said().await, ["BILLED_ORDER"]);
    case.shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_cancel_while_the_charge_is_under_way_is_done_at_its_outcome() {
    let case = Case::new().await;
    case.shop.trouble(Trouble { delay_ms: 600_000, delay_percent: 100, ..Trouble::default() });
    case.created();
    case.until(StepState::UnderWay { undo_asked: false }).await;
    case.cancelled();
    case.until(StepState::UnderWay { undo_asked: true }).await;
    case.cancelled();
    assert_eq!(case.gateway(), (0, 0, FUNDS), "nothing has happened outside");
    case.shop.trouble(Trouble::default());
    case.until_applied().await;
    assert_eq!(case.step().await, StepState::Undone);
    assert_eq!(case.gateway(), (1, 1, FUNDS));
    assert_eq!(case.payment_said().await, ["BILLED_ORDER", "PAYMENT_REFUNDED"]);
    let stated = case.shop.payment().participation(ORDER).await.unwrap();
    assert!(stated.last::<AccountCharged>().unwrap().is_some(), "the outcome is on record");
    case.shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_charge_that_is_declined_after_the_cancel_is_not_undone() {
    let case = Case::new().await;
    case.shop.office.set_funds("ann", eur(PRICE - 1)).await.unwrap();
    case.shop.trouble(Trouble { delay_ms: 600_000, delay_percent: 100, ..Trouble::default() });
    case.created();
    case.until(StepState::UnderWay { undo_asked: false }).await;
    case.cancelled();
    case.until(StepState::UnderWay { undo_asked: true }).await;
    case.shop.trouble(Trouble::default());
    case.until_applied().await;
    assert_eq!(case.step().await, StepState::Refused);
    assert_eq!(case.gateway(), (0, 0, PRICE - 1));
    assert_eq!(case.payment_said().await, ["PAYMENT_DECLINED"]);
    case.shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_crash_between_try_and_cancel_refunds_once() {
    let mut case = Case::new().await;
    // It is charged, the answer is lost, and payment dies.
    case.shop.trouble(Trouble {
        delay_answer_ms: 600_000,
        delay_percent: 100,
        ..Trouble::default()
    });
    case.created();
    until("the charge", || async { case.gateway().0 == 1 }).await;
    case.shop.kill_payment().await;
    case.cancelled();
    case.shop.trouble(Trouble::default());
    case.shop.start_payment().await;
    case.until(StepState::Undone).await;
    case.until_applied().await;
    assert_eq!(case.gateway(), (1, 1, FUNDS));
    assert_eq!(case.payment_said().await, ["BILLED_ORDER", "PAYMENT_REFUNDED"]);
    case.shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_gateway_that_is_away_is_waited_for() {
    let mut case = Case::new().await;
    case.shop.gateway_goes();
    case.created();
    until("tries", || async { case.shop.payment().counters().effect_tries_failed > 2 }).await;
    assert_eq!(case.step().await, StepState::UnderWay { undo_asked: false });
    // While a try is under way nobody knows; a refused connection has charged nobody.
    until("nothing begun", || async { case.shop.agenda().await.iter().all(|i| !i.begun) }).await;
    case.shop.gateway_comes_back().await;
    case.until(StepState::Done).await;
    assert_eq!(case.gateway(), (1, 0, FUNDS - PRICE));
    case.shop.close().await;
}
