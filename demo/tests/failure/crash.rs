//! Payment is killed: before the call, between the call and its outcome, at any moment.

use std::time::Duration;

use demo::audit::End;
use gateway::Trouble;
use order::{FINISH_WITHIN, Status};

use crate::shop::*;

fn slow(delay_ms: u64, delay_answer_ms: u64) -> Trouble {
    Trouble { delay_ms, delay_answer_ms, delay_percent: 100, ..Trouble::default() }
}

/// The request is at the gateway, which has done nothing yet; after the kill it does it all the same, late.
async fn killed_before_the_charge(mut shop: Shop) {
    shop.trouble(slow(50, 0));
    shop.place("o-1", FINISH_WITHIN).await;
    until("the call", || async { shop.office.totals().trouble.delayed > 0 }).await;
    shop.kill_payment().await;
    let charged_by_then = shop.office.totals().charges_approved;
    shop.start_payment().await;
    shop.until_status("o-1", Status::Concluded).await;
    shop.until_quiet().await;
    assert_eq!(charged_by_then, 0, "it was killed before");
    assert_eq!(shop.office.totals().charges_approved, 1);
    shop.audit_tea().await;
    shop.close().await;
}

/// The money is taken, and nobody but the gateway knows.
async fn killed_before_the_outcome(mut shop: Shop) {
    shop.trouble(slow(0, 600_000));
    shop.place("o-1", FINISH_WITHIN).await;
    until("the charge", || async { shop.office.totals().charges_approved == 1 }).await;
    shop.kill_payment().await;
    shop.trouble(Trouble::default());
    assert_eq!(shop.stated("BILLED_ORDER").await, 0);
    shop.start_payment().await;
    shop.until_status("o-1", Status::Concluded).await;
    shop.until_quiet().await;
    let totals = shop.office.totals();
    assert_eq!((totals.charges_approved, totals.replayed), (1, 0), "it asked, and sent nothing");
    shop.audit_tea().await;
    shop.close().await;
}

/// The money is taken, nobody knows, and meanwhile the customer has cancelled.
async fn killed_and_cancelled_before_the_outcome(mut shop: Shop) {
    shop.trouble(slow(0, 600_000));
    shop.place("o-1", FINISH_WITHIN).await;
    until("the charge", || async { shop.office.totals().charges_approved == 1 }).await;
    shop.kill_payment().await;
    shop.cancel("o-1").await;
    shop.until_status("o-1", Status::Cancelled).await;
    shop.trouble(Trouble::default());
    shop.start_payment().await;
    shop.until_quiet().await;
    let totals = shop.office.totals();
    assert_eq!((totals.charges_approved, totals.refunds_made), (1, 1));
    assert_eq!(shop.audit_tea().await.ends(), [(End::Cancelled, 1)].into());
    shop.close().await;
}

/// Wherever it happens to be: claiming, calling, waiting, deciding, committing, publishing.
async fn killed_many_times(mut shop: Shop, rounds: u64) {
    const ORDERS: u64 = 8;
    shop.trouble(Trouble {
        seed: 3,
        delay_ms: 4,
        delay_answer_ms: 4,
        delay_percent: 50,
        fail_before_percent: 10,
        fail_after_percent: 10,
        lose_answer_percent: 10,
    });
    for round in 0..rounds {
        for n in 0..ORDERS {
            let order = format!("o-{round}-{n}");
            shop.place(&order, FINISH_WITHIN).await;
            if n == 0 {
                shop.cancel(&order).await;
            }
        }
        // A prime, so that the kills fall everywhere.
        tokio::time::sleep(Duration::from_micros(round * 1_709)).await;
        shop.kill_payment().await;
        shop.start_payment().await;
    }
    shop.until_quiet().await;
    let audit = shop.audit_tea().await;
    assert_eq!((audit.unfinished(), audit.ends().values().sum::<u64>()), (0, rounds * ORDERS));
    assert_eq!(shop.office.totals().charges_approved, shop.stated("BILLED_ORDER").await as u64);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_before_the_gateway_has_charged() {
    killed_before_the_charge(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_between_the_charge_and_its_outcome() {
    killed_before_the_outcome(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_after_the_charge_and_cancelled_before_its_outcome() {
    killed_and_cancelled_before_the_outcome(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_at_any_moment_many_times() {
    killed_many_times(Shop::open().await, 24).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_before_the_gateway_has_charged_on_sqlite() {
    killed_before_the_charge(Shop::open_on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_between_the_charge_and_its_outcome_on_sqlite() {
    killed_before_the_outcome(Shop::open_on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_after_the_charge_and_cancelled_before_its_outcome_on_sqlite() {
    killed_and_cancelled_before_the_outcome(Shop::open_on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_killed_at_any_moment_many_times_on_sqlite() {
    killed_many_times(Shop::open_on_sqlite().await, 8).await;
}
