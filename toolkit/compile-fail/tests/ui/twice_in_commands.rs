#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

#[derive(Clone)]
struct Release;

impl Command for Release {
    type Aggregate = Account;
    type Emits = ();
    type Refusal = NoRefusal;
    fn decide(self, _: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        Ok(())
    }
}

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = (Capture, Release, Capture);
    type Handles = (OrderCreated,);
    type Steps = ();
}

#[handler]
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
