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

impl EventHandler<OrderCreated> for Payment {
    type Emits = ();
    async fn handle(
        &self,
        event: &Incoming<OrderCreated>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
