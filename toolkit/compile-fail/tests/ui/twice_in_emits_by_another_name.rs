#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

type Paid = BilledOrder;

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = (OrderCreated,);
    type Steps = ();
}

#[handler]
impl EventHandler<OrderCreated> for Payment {
    type Emits = (BilledOrder, Paid);
    async fn handle(
        &self,
        event: &Incoming<OrderCreated>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let _ = (event, turn);
        Ok(())
    }
}

fn main() {}
