//! The choreography that the command line knows.

use examples::OrderConcluded;
use quadrille::{choreography::Choreography, prelude::*};

/// All services of the story.
pub(crate) fn story() -> Choreography {
    Choreography::new().service::<Thanks>()
}

/// Sends thanks for each concluded order.
#[derive(Debug)]
pub(crate) struct Thanks;

impl Service for Thanks {
    const NAME: &'static str = "thanks";
    type Commands = ();
    type Handles = (OrderConcluded,);
    type Steps = ();
}

#[handler]
impl EventHandler<OrderConcluded> for Thanks {
    type Emits = ();
    async fn handle(
        &self,
        _: &Incoming<OrderConcluded>,
        _: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}
