#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = (OrderCreated,);
    type Steps = ();
}

#[handler]
impl EventHandler<OrderCreated> for Payment {
    type Emits = (BilledOrder,);
    async fn handle(
        &self,
        event: &Incoming<OrderCreated>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        turn.execute("42", Capture { order: event.order.clone() }).await??;
        Ok(())
    }
}

fn main() {}
