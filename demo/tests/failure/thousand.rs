//! A thousand orders through a gateway in trouble.

use std::time::Duration;

use demo::{audit::End, script::Script};
use futures_util::{StreamExt as _, stream};
use gateway::{Amount, Trouble};
use order::{CancelOrder, FINISH_WITHIN, PlaceOrder};
use quadrille::engine::ClientError;
use schemas::CancellationReason;

use crate::shop::*;

const ORDERS: u64 = 1_000;
const AT_ONCE: usize = 64;

async fn place(shop: &Shop, script: &Script, n: u64) {
    let placement = script.placement(n).unwrap();
    let order = placement.order.clone();
    // Some have less time than a gateway in trouble takes.
    let finish_within = if n % 16 == 5 { Duration::from_millis(n % 100) } else { FINISH_WITHIN };
    let place = PlaceOrder {
        order: order.clone(),
        customer: placement.customer,
        account: placement.account,
        lines: placement.lines,
        destination: placement.destination,
        finish_within,
    };
    loop {
        match shop.orders().execute(&order, place.clone()).await {
            Err(ClientError::Busy) => tokio::time::sleep(Duration::from_millis(1)).await,
            answer => {
                let _ = answer.expect("an answer").expect("a placed order");
                break;
            }
        }
    }
    if let Some(after) = placement.cancelled_after {
        tokio::time::sleep(after).await;
        let wish = CancelOrder { reason: CancellationReason::Customer };
        // It may have ended already: a refusal is an answer too.
        let _ = shop.orders().execute(&order, wish).await.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_thousand_orders_through_a_gateway_that_delays_fails_and_loses_answers() {
    let shop = Shop::open().await;
    let script = Script { seed: 7, sagas: ORDERS, skus: 20 };
    for (account, funds) in script.accounts().unwrap() {
        let funds = Amount { minor: funds.minor(), currency: funds.currency().to_string() };
        shop.office.set_funds(account.as_str(), funds).await.unwrap();
    }
    for (sku, available) in script.stock().unwrap() {
        shop.put(sku.as_str(), available).await;
    }
    let before = shop.office.totals().money["EUR"].funds;
    // A tenth of a delayed request's time is above what payment waits for.
    shop.trouble(Trouble {
        seed: 7,
        delay_ms: 70,
        delay_answer_ms: 70,
        delay_percent: 10,
        fail_before_percent: 10,
        fail_after_percent: 10,
        lose_answer_percent: 10,
    });
    stream::iter(0..ORDERS)
        .map(|n| place(&shop, &script, n))
        .buffer_unordered(AT_ONCE)
        .for_each(|()| async {})
        .await;
    shop.until_quiet().await;

    let mut stock = vec![];
    for (sku, put) in script.stock().unwrap() {
        stock.push(shop.stock(sku.as_str(), put).await);
    }
    let audit = shop.audit(stock).await;
    assert_eq!(audit.unfinished(), 0);
    let ends = audit.ends();
    assert_eq!(ends.values().sum::<u64>(), ORDERS);
    for end in End::ALL {
        assert!(ends.get(&end).is_some_and(|orders| *orders > 0), "no order is {end:?}: {ends:?}");
    }

    let totals = shop.office.totals();
    let money = totals.money["EUR"];
    assert_eq!(money.funds + money.charged - money.refunded, before, "to the cent");
    assert_eq!(totals.charges_approved, shop.stated("BILLED_ORDER").await as u64);
    assert_eq!(totals.refunds_made, shop.stated("PAYMENT_REFUNDED").await as u64);
    let trouble = totals.trouble;
    for made in [trouble.delayed, trouble.failed_before, trouble.failed_after, trouble.answers_lost]
    {
        assert!(made > 50, "there was hardly any trouble: {trouble:?}");
    }
    assert!(shop.payment().counters().effect_tries_failed > 100);
    shop.close().await;
}
