#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = ();
    type Handles = ();
    type Steps = (Pivot<BilledOrder>,);
}

#[handler]
impl Undo<BilledOrder> for Payment {
    type Because = (PaymentDeclined,);
    type Emits = ();
    async fn undo(
        &self,
        _: &BilledOrder,
        _: &Cause,
        _: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
