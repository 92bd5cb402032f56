//! All lines of an order are reserved or none, and what was reserved leaves once.

use inventory::{Inventory, SetStock, Stock};
use quadrille::{
    DomainEvent,
    error::FailureKind,
    id::SagaId,
    testing::{Said, Stage},
};
use schemas::*;

fn saga() -> SagaId {
    "00000000-0000-7000-8000-000000000001".parse().unwrap()
}

fn stage(stock: &[(&str, u64)]) -> Stage<Inventory> {
    let mut stage = Stage::new(Inventory);
    for (sku, available) in stock {
        let set = SetStock { available: *available };
        stage.command(saga(), &sku.parse().unwrap(), set).unwrap();
    }
    stage
}

fn billed(lines: &[(&str, u32)]) -> BilledOrder {
    let price = Money::new(10, "EUR".parse().unwrap()).unwrap();
    let line = |(sku, quantity): &(&str, u32)| OrderLine {
        sku: sku.parse().unwrap(),
        quantity: (*quantity).try_into().unwrap(),
        price,
    };
    let lines: Vec<OrderLine> = lines.iter().map(line).collect();
    BilledOrder {
        order: "o-1".parse().unwrap(),
        account: "a-1".parse().unwrap(),
        amount: price,
        lines: lines.try_into().unwrap(),
        destination: "FR".parse().unwrap(),
    }
}

fn arrives(stage: &mut Stage<Inventory>, event: &impl DomainEvent) {
    stage.deliver(&Said::by_another(event, saga())).unwrap();
}

/// Available, reserved, shipped.
fn counters(stage: &Stage<Inventory>, sku: &str) -> (u64, u64, u64) {
    let stock: Stock = stage.load(&sku.parse().unwrap()).unwrap();
    (stock.available, stock.reserved, stock.shipped)
}

fn order() -> OrderId {
    "o-1".parse().unwrap()
}

#[test]
fn a_product_may_be_on_two_lines() {
    let mut stage = stage(&[("tea", 5)]);
    arrives(&mut stage, &billed(&[("tea", 2), ("tea", 3)]));
    assert_eq!(counters(&stage, "tea"), (0, 5, 0));
    assert!(stage.said()[0].event::<OrderPrepared>().is_some());
}

#[test]
fn none_is_reserved_when_one_is_short() {
    let mut stage = stage(&[("tea", 5), ("cup", 1)]);
    arrives(&mut stage, &billed(&[("tea", 2), ("cup", 3), ("tea", 1)]));
    let out: ProductOutOfStock = stage.said()[0].event().unwrap();
    assert_eq!((out.sku.as_str(), out.missing), ("cup", 2));
    assert_eq!(counters(&stage, "tea"), (5, 0, 0));
    assert_eq!(counters(&stage, "cup"), (1, 0, 0));
}

#[test]
fn what_is_delivered_is_shipped_once() {
    let mut stage = stage(&[("tea", 5)]);
    arrives(&mut stage, &billed(&[("tea", 2)]));
    arrives(&mut stage, &OrderDelivered { order: order() });
    arrives(&mut stage, &OrderDelivered { order: order() });
    assert_eq!(counters(&stage, "tea"), (3, 0, 2));
}

#[test]
fn what_is_not_shipped_is_released_once() {
    let mut stage = stage(&[("tea", 5)]);
    arrives(&mut stage, &billed(&[("tea", 2)]));
    arrives(&mut stage, &ShipmentCancelled { order: order() });
    arrives(&mut stage, &ShipmentCancelled { order: order() });
    assert_eq!(counters(&stage, "tea"), (5, 0, 0));
    assert_eq!(stage.said().len(), 2);
    assert!(stage.said()[1].event::<StockReleased>().is_some());
}

#[test]
fn a_delivery_of_what_was_never_reserved_is_for_a_person() {
    let mut stage = stage(&[("tea", 5)]);
    let delivered = Said::by_another(&OrderDelivered { order: order() }, saga());
    let error = stage.deliver(&delivered).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Terminal);
}
