//! Three services that bill and ship an order, and one that does everything wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prelude::*;

macro_rules! public {
    ($($name:ident $event_type:literal from $source:literal;)*) => {$(
        #[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
        #[event(type = $event_type, key = order, source = $source)]
        pub(super) struct $name { order: String }
    )*};
}

public! {
    OrderCreated "ORDER_CREATED" from "order";
    BilledOrder "BILLED_ORDER" from "payment";
    PaymentDeclined "PAYMENT_DECLINED" from "payment";
    PaymentRefunded "PAYMENT_REFUNDED" from "payment";
    OrderDelivered "ORDER_DELIVERED" from "shipping";
    ShipmentFailed "SHIPMENT_FAILED" from "shipping";
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "RUMOUR", key = order)]
pub(super) struct Rumour {
    order: String,
}

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(type = "order.placed", private)]
pub(super) struct Placed {}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct State;

impl Aggregate for State {
    const NAME: &'static str = "order";
    type Id = str;
    type Events = (Placed, OrderCreated);
}
impl Apply<Placed> for State {
    fn apply(&mut self, _: &Placed) {}
}
impl Apply<OrderCreated> for State {
    fn apply(&mut self, _: &OrderCreated) {}
}

#[derive(Clone)]
pub(super) struct Place(String);

impl Command for Place {
    type Aggregate = State;
    type Emits = (Placed, OrderCreated);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Placed {});
        facts.record(OrderCreated { order: self.0 });
        Ok(())
    }
}

macro_rules! reacts {
    ($service:ty: $event:ty => ($($emits:ty),*)) => {
        #[handler]
        impl EventHandler<$event> for $service {
            type Emits = ($($emits,)*);
            async fn handle(&self, _: &Incoming<$event>, _: &mut Turn<'_, Self::Emits>) -> Result<(), HandlerError> {
                Ok(())
            }
        }
    };
}

pub(super) struct Order;
impl Service for Order {
    const NAME: &'static str = "order";
    type Commands = (Place,);
    type Handles = (PaymentDeclined, OrderDelivered, ShipmentFailed);
    type Steps = ();
}
reacts!(Order: PaymentDeclined => ());
reacts!(Order: OrderDelivered => ());
reacts!(Order: ShipmentFailed => ());

pub(super) struct Payment;
impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = (OrderCreated,);
    type Steps = (Compensatable<BilledOrder>,);
}
reacts!(Payment: OrderCreated => (BilledOrder, PaymentDeclined));
#[handler]
impl Undo<BilledOrder> for Payment {
    type Because = (ShipmentFailed,);
    type Emits = (PaymentRefunded,);
    async fn undo(
        &self,
        _: &BilledOrder,
        _: &Cause,
        _: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}

pub(super) struct Shipping;
impl Service for Shipping {
    const NAME: &'static str = "shipping";
    type Commands = ();
    type Handles = (BilledOrder,);
    type Steps = (Pivot<OrderDelivered>,);
}
reacts!(Shipping: BilledOrder => (OrderDelivered, ShipmentFailed));

/// States what is others', and waits for what never comes.
pub(super) struct Careless;
impl Service for Careless {
    const NAME: &'static str = "an \"end\"";
    type Commands = (Place,);
    type Handles = (Rumour,);
    type Steps = (Compensatable<ShipmentFailed>,);
}
reacts!(Careless: Rumour => (ShipmentFailed));
#[handler]
impl Undo<ShipmentFailed> for Careless {
    type Because = (Placed,);
    type Emits = ();
    async fn undo(
        &self,
        _: &ShipmentFailed,
        _: &Cause,
        _: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}
