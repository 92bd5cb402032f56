#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = (Captured,);
    type Steps = ();
}

#[handler]
impl EventHandler<Captured> for Payment {
    type Emits = ();
    async fn handle(
        &self,
        event: &Incoming<Captured>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
