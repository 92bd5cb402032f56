//! Orders whose time runs out.

use std::time::Duration;

use demo::audit::End;
use gateway::Trouble;
use order::{FINISH_WITHIN, Status};

use crate::shop::*;

/// Longer than any test.
const STUCK: Trouble = Trouble {
    seed: 0,
    delay_ms: 600_000,
    delay_answer_ms: 0,
    delay_percent: 100,
    fail_before_percent: 0,
    fail_after_percent: 0,
    lose_answer_percent: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_an_order_without_an_end_expires_and_everything_comes_back() {
    let shop = Shop::open().await;
    shop.trouble(STUCK);
    shop.place("o-1", Duration::from_millis(60)).await;
    shop.until_status("o-1", Status::Expired).await;
    assert_eq!(shop.orders().counters().deadlines_fired, 1);
    assert_eq!(shop.agenda().await.len(), 1, "the charge is under way still");

    // At last the gateway answers: it charges, and gives back.
    shop.trouble(Trouble::default());
    shop.until_quiet().await;
    let audit = shop.audit_tea().await;
    assert_eq!(audit.ends(), [(End::Expired, 1)].into());
    let totals = shop.office.totals();
    assert_eq!((totals.charges_approved, totals.refunds_made), (1, 1));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_an_order_that_ends_in_time_has_no_deadline_any_more() {
    let shop = Shop::open().await;
    shop.place("o-1", FINISH_WITHIN).await;
    shop.until_status("o-1", Status::Concluded).await;
    shop.until_quiet().await;
    assert_eq!(shop.orders().counters().deadlines_fired, 0);
    assert_eq!(shop.audit_tea().await.ends(), [(End::Concluded, 1)].into());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_a_deadline_whose_service_was_killed_fires_once_after_the_restart() {
    let mut shop = Shop::open().await;
    shop.trouble(STUCK);
    shop.place("o-1", Duration::from_millis(100)).await;
    shop.kill_orders().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    shop.start_orders().await;
    shop.until_status("o-1", Status::Expired).await;
    shop.trouble(Trouble::default());
    shop.until_quiet().await;
    assert_eq!(shop.stated("ORDER_CANCELLATION_REQUESTED").await, 1);
    assert_eq!(shop.audit_tea().await.ends(), [(End::Expired, 1)].into());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_customers_wish_before_the_deadline_decides_between_cancelled_and_expired() {
    let shop = Shop::open().await;
    shop.trouble(STUCK);
    shop.place("o-1", Duration::from_millis(80)).await;
    shop.cancel("o-1").await;
    shop.until_status("o-1", Status::Cancelled).await;
    shop.trouble(Trouble::default());
    shop.until_quiet().await;
    assert_eq!(shop.audit_tea().await.ends(), [(End::Cancelled, 1)].into());
    shop.close().await;
}
