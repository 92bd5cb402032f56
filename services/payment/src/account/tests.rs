use quadrille::testing::given;
use schemas::MINOR_MAX;

use super::*;

fn money(minor: u64, currency: &str) -> Money {
    Money::new(minor, currency.parse().unwrap()).unwrap()
}

fn eur(minor: u64) -> Money {
    money(minor, "EUR")
}

fn order() -> OrderId {
    "o-1".parse().unwrap()
}

fn capture(amount: Money) -> Capture {
    Capture { order: order(), amount }
}

fn refund(amount: Money) -> Refund {
    Refund { order: order(), amount }
}

#[test]
fn captures_down_to_the_last_cent() {
    given((FundsSet { funds: eur(100) },))
        .when(capture(eur(100)))
        .then((Captured { order: order(), amount: eur(100) },))
        .when(capture(eur(1)))
        .then_refused(DeclineReason::NotEnoughFunds { missing: eur(1) });
}

#[test]
fn declines_what_it_cannot_pay() {
    given(()).when(capture(eur(1))).then_refused(DeclineReason::UnknownAccount);
    given((FundsSet { funds: eur(30) },))
        .when(capture(eur(100)))
        .then_refused(DeclineReason::NotEnoughFunds { missing: eur(70) })
        .when(capture(money(1, "USD")))
        .then_refused(DeclineReason::OtherCurrency);
}

#[test]
fn an_account_that_cannot_count_further_declines() {
    let all = eur(MINOR_MAX);
    given((FundsSet { funds: all }, Captured { order: order(), amount: all }))
        .when(refund(all))
        .then((Refunded { order: order(), amount: all },))
        .when(capture(eur(1)))
        .then_refused(DeclineReason::AccountFull);
}

#[test]
fn gives_back_what_it_took_and_no_more() {
    let account: Account = given((FundsSet { funds: eur(100) },))
        .when(refund(eur(1)))
        .then_refused(NotCaptured)
        .when(capture(eur(60)))
        .then((Captured { order: order(), amount: eur(60) },))
        .when(refund(eur(60)))
        .then((Refunded { order: order(), amount: eur(60) },))
        .when(refund(eur(1)))
        .then_refused(NotCaptured)
        .state();
    let balance = account.balance().unwrap();
    assert_eq!((balance.funds, balance.captured, balance.refunded), (eur(100), eur(60), eur(60)));
}

#[test]
fn funds_are_set_anew_and_captures_remembered() {
    let account: Account =
        given((FundsSet { funds: eur(100) }, Captured { order: order(), amount: eur(40) }))
            .when(SetFunds { funds: eur(60) })
            .then_nothing()
            .when(SetFunds { funds: eur(500) })
            .then((FundsSet { funds: eur(500) },))
            .state();
    assert_eq!(account.balance().unwrap().captured, eur(40));
}

#[test]
fn funds_that_leave_no_room_for_a_refund_are_refused() {
    given((FundsSet { funds: eur(1) }, Captured { order: order(), amount: eur(1) }))
        .when(SetFunds { funds: eur(MINOR_MAX) })
        .then_refused(FundsRefused::TooMuch)
        .when(SetFunds { funds: money(1, "USD") })
        .then_refused(FundsRefused::OtherCurrency)
        .when(SetFunds { funds: eur(MINOR_MAX - 1) })
        .then((FundsSet { funds: eur(MINOR_MAX - 1) },));
}
