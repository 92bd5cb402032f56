//! One order, with a cancellation by its customer and the end of its time at any moment, and every order
//! of arrival that the log allows: wherever all is quiet, the laws hold.
//!
//! The services are the real ones with their real barrier; only the engine is missing.

use std::collections::{BTreeSet, HashSet};

use inventory::{Inventory, SetStock, Stock};
use order::{CancelOrder, Order, Orders, PlaceOrder, Status};
use payment::{Account, Payment, SetFunds};
use quadrille::{
    DomainEvent, Service,
    barrier::StepState,
    id::SagaId,
    testing::{Said, Stage},
};
use schemas::*;
use shipping::Shipping;

const ORDER: &str = "o-1";
const STOCK: u64 = 5;
const PRICE: u64 = 10;

fn saga() -> SagaId {
    "00000000-0000-7000-8000-000000000001".parse().unwrap()
}

fn eur(minor: u64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn sku() -> Sku {
    "tea".parse().unwrap()
}

/// What differs from one story to the next.
#[derive(Clone, Copy)]
struct Story {
    funds: u64,
    /// The same product on two lines.
    quantities: [u32; 2],
    destination: &'static str,
}

const GOOD: Story = Story { funds: 100, quantities: [2, 3], destination: "FR" };

/// The services in a fixed order: each is a source and a consumer.
const SERVICES: usize = 4;

#[derive(Clone)]
struct World {
    order: Stage<Orders>,
    payment: Stage<Payment>,
    inventory: Stage<Inventory>,
    shipping: Stage<Shipping>,
    /// How far each consumer has read each source.
    read: [[usize; SERVICES]; SERVICES],
    /// Who may still wish that the order should end.
    wishes: Vec<CancellationReason>,
}

impl World {
    fn of(story: Story) -> Self {
        let mut order = Stage::new(Orders);
        let mut payment = Stage::new(Payment);
        let mut inventory = Stage::new(Inventory);
        let account: AccountId = "a-1".parse().unwrap();
        payment.command(saga(), &account, SetFunds { funds: eur(story.funds) }).unwrap();
        inventory.command(saga(), &sku(), SetStock { available: STOCK }).unwrap();
        let lines: Vec<OrderLine> = story
            .quantities
            .iter()
            .map(|q| OrderLine {
                sku: sku(),
                quantity: (*q).try_into().unwrap(),
                price: eur(PRICE),
            })
            .collect();
        let place = PlaceOrder {
            order: ORDER.parse().unwrap(),
            customer: "c-1".parse().unwrap(),
            account,
            lines: lines.try_into().unwrap(),
            destination: story.destination.parse().unwrap(),
        };
        order.command(saga(), &ORDER.parse().unwrap(), place).unwrap();
        Self {
            order,
            payment,
            inventory,
            shipping: Stage::new(Shipping::default()),
            read: [[0; SERVICES]; SERVICES],
            wishes: vec![CancellationReason::Customer, CancellationReason::Expired],
        }
    }

    fn said(&self, source: usize) -> &[Said] {
        match source {
            0 => self.order.said(),
            1 => self.payment.said(),
            2 => self.inventory.said(),
            _ => self.shipping.said(),
        }
    }

    fn all_said(&self) -> impl Iterator<Item = &Said> {
        (0..SERVICES).flat_map(|source| self.said(source))
    }

    fn count<E: DomainEvent>(&self) -> usize {
        self.all_said().filter(|said| said.event_type == E::TYPE).count()
    }

    /// The world after the consumer has taken the next event of the source; `None` when it has them all.
    fn after_delivery(&self, consumer: usize, source: usize) -> Option<Self> {
        let mut next = self.clone();
        loop {
            let position = &mut next.read[consumer][source];
            let said = self.said(source).get(*position)?;
            *position += 1;
            let took = match consumer {
                0 => deliver(&mut next.order, said),
                1 => deliver(&mut next.payment, said),
                2 => deliver(&mut next.inventory, said),
                _ => deliver(&mut next.shipping, said),
            };
            if took {
                return Some(next);
            }
        }
    }

    fn after_wish(&self, index: usize) -> Self {
        let mut next = self.clone();
        let reason = next.wishes.remove(index);
        // Refused when the order has ended: then nothing happens.
        let _ = next.order.command(saga(), &ORDER.parse().unwrap(), CancelOrder { reason });
        next
    }

    /// All that distinguishes this world from others.
    fn image(&self) -> String {
        format!(
            "{}{}{}{}{:?}{:?}",
            self.order.image(),
            self.payment.image(),
            self.inventory.image(),
            self.shipping.image(),
            self.read,
            self.wishes,
        )
    }

    fn status(&self) -> Status {
        let order: Order = self.order.load(&ORDER.parse().unwrap()).unwrap();
        order.status().unwrap()
    }

    fn billing(&self) -> StepState {
        self.payment.participation(ORDER).step(saga(), BilledOrder::TYPE)
    }
}

/// False when the service does not consume it: then nothing has happened, and it goes on reading.
fn deliver<S: Service>(stage: &mut Stage<S>, said: &Said) -> bool {
    if !stage.consumes(said.event_type) {
        return false;
    }
    stage.deliver(said).unwrap_or_else(|e| panic!("{} refused {said:?}: {e}", S::NAME));
    true
}

#[derive(Default)]
struct Explored {
    worlds: usize,
    quiet: usize,
    ends: BTreeSet<Status>,
    late_charges_refused: usize,
    refunds: usize,
}

fn explore(story: Story) -> Explored {
    let mut explored = Explored::default();
    let mut known = HashSet::new();
    let mut open = vec![World::of(story)];
    while let Some(world) = open.pop() {
        if !known.insert(world.image()) {
            continue;
        }
        explored.worlds += 1;
        let pairs = (0..SERVICES).flat_map(|c| (0..SERVICES).map(move |s| (c, s)));
        let deliveries: Vec<World> =
            pairs.filter_map(|(c, s)| world.after_delivery(c, s)).collect();
        if deliveries.is_empty() {
            the_laws_hold(&world, story);
            explored.quiet += 1;
            explored.ends.insert(world.status());
            explored.late_charges_refused += usize::from(world.billing() == StepState::Tombstone);
            explored.refunds += world.count::<PaymentRefunded>();
        }
        open.extend((0..world.wishes.len()).map(|index| world.after_wish(index)));
        open.extend(deliveries);
    }
    explored
}

fn the_laws_hold(world: &World, story: Story) {
    let told: Vec<&str> = world.all_said().map(|said| said.event_type).collect();
    let ends = world.count::<OrderConcluded>()
        + world.count::<OrderFailed>()
        + world.count::<OrderCancelled>();
    assert_eq!(ends, 1, "one end: {told:?}");
    let once = usize::from(world.status() == Status::Concluded);
    let ordered: u64 = story.quantities.iter().copied().map(u64::from).sum();

    let account: Account = world.payment.load(&"a-1".parse().unwrap()).unwrap();
    let balance = account.balance().unwrap();
    let kept = balance.captured.minus(balance.refunded).unwrap();
    assert_eq!(kept.minor(), PRICE * ordered * once as u64, "charged ⇔ concluded: {told:?}");
    assert_eq!(balance.funds.plus(kept).unwrap(), eur(story.funds), "{told:?}");
    assert_eq!(
        world.count::<BilledOrder>() - world.count::<PaymentRefunded>(),
        once,
        "charged once, refunded once: {told:?}"
    );

    let stock: Stock = world.inventory.load(&sku()).unwrap();
    assert_eq!(stock.available + stock.shipped, STOCK, "{told:?}");
    assert_eq!(stock.reserved, 0, "nothing is reserved: {told:?}");
    assert_eq!(stock.shipped, ordered * once as u64, "shipped ⇔ concluded: {told:?}");
    let verdicts = world.count::<OrderDelivered>()
        + world.count::<ShipmentFailed>()
        + world.count::<ShipmentCancelled>();
    assert!(verdicts <= 1, "shipping says one thing: {told:?}");
    assert_eq!(world.count::<OrderDelivered>(), once, "delivered ⇔ concluded: {told:?}");
}

#[test]
fn an_order_that_could_be_delivered_concludes_or_is_stopped_in_time() {
    let explored = explore(GOOD);
    assert_eq!(
        explored.ends,
        [Status::Concluded, Status::Cancelled, Status::Expired].into(),
        "{} quiet of {}",
        explored.quiet,
        explored.worlds
    );
    assert!(explored.refunds > 0, "a cancellation came after the charge");
    assert!(explored.late_charges_refused > 0, "a cancellation overtook the order");
}

#[test]
fn an_order_that_nobody_can_pay_fails() {
    let explored = explore(Story { funds: 49, ..GOOD });
    assert_eq!(explored.ends, [Status::Failed, Status::Cancelled, Status::Expired].into());
    assert_eq!(explored.refunds, 0);
}

#[test]
fn an_order_whose_second_line_is_short_fails_and_reserves_nothing() {
    let explored = explore(Story { quantities: [3, 3], ..GOOD });
    assert_eq!(explored.ends, [Status::Failed, Status::Cancelled, Status::Expired].into());
    assert!(explored.refunds > 0);
}

#[test]
fn an_order_that_nobody_delivers_fails_and_is_undone() {
    let explored = explore(Story { destination: "AQ", ..GOOD });
    assert_eq!(explored.ends, [Status::Failed, Status::Cancelled, Status::Expired].into());
    assert!(explored.refunds > 0);
}
