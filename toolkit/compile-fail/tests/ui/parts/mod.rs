//! What the cases have in common.

pub use quadrille::prelude::*;
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "ORDER_CREATED", key = order, source = "order")]
pub struct OrderCreated {
    pub order: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "BILLED_ORDER", key = order, source = "payment")]
pub struct BilledOrder {
    pub order: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAYMENT_DECLINED", key = order, source = "payment")]
pub struct PaymentDeclined {
    pub order: String,
}

/// An account's own business.
#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(type = "account.captured", private)]
pub struct Captured {
    pub amount: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Account {
    pub captured: u64,
}

impl Aggregate for Account {
    const NAME: &'static str = "account";
    type Id = str;
    type Events = (Captured, BilledOrder);
}

impl Apply<Captured> for Account {
    fn apply(&mut self, event: &Captured) {
        self.captured += event.amount;
    }
}

impl Apply<BilledOrder> for Account {
    fn apply(&mut self, _: &BilledOrder) {}
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotEnoughFunds;

/// Records a private and a public event.
#[derive(Clone)]
pub struct Capture {
    pub order: String,
}

impl Command for Capture {
    type Aggregate = Account;
    type Emits = (Captured, BilledOrder);
    type Refusal = NotEnoughFunds;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NotEnoughFunds> {
        facts.record(Captured { amount: 1 });
        facts.record(BilledOrder { order: self.order });
        Ok(())
    }
}
