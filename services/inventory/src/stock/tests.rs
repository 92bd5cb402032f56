use quadrille::testing::given;

use super::*;

fn n(quantity: u32) -> NonZeroU32 {
    NonZeroU32::new(quantity).unwrap()
}

#[test]
fn reserves_what_is_on_the_shelf() {
    given((StockSet { available: 3 },))
        .when(Reserve { quantity: n(2) })
        .then((Reserved { quantity: n(2) },))
        .when(Reserve { quantity: n(2) })
        .then_refused(Short { missing: 1 })
        .when(Reserve { quantity: n(1) })
        .then((Reserved { quantity: n(1) },));
    given(()).when(Reserve { quantity: n(5) }).then_refused(Short { missing: 5 });
}

#[test]
fn what_is_reserved_is_shipped_or_released_once() {
    let stock: Stock = given((StockSet { available: 5 }, Reserved { quantity: n(5) }))
        .when(Ship { quantity: n(3) })
        .then((Shipped { quantity: n(3) },))
        .when(Release { quantity: n(3) })
        .then_refused(NotReserved)
        .when(Release { quantity: n(2) })
        .then((Released { quantity: n(2) },))
        .when(Ship { quantity: n(1) })
        .then_refused(NotReserved)
        .state();
    assert_eq!(stock, Stock { available: 2, reserved: 0, shipped: 3 });
}

#[test]
fn stock_is_set_within_what_can_be_counted() {
    given((StockSet { available: 2 }, Reserved { quantity: n(2) }))
        .when(SetStock { available: 0 })
        .then_nothing()
        .when(SetStock { available: STOCK_MAX - 1 })
        .then_refused(TooMany)
        .when(SetStock { available: STOCK_MAX - 2 })
        .then((StockSet { available: STOCK_MAX - 2 },));
    given(()).when(SetStock { available: u64::MAX }).then_refused(TooMany);
}
