//! A fifth service: it grants points for each concluded order. `points.rs` keeps the accounts.
use examples::points::Grant;
use examples::{OrderConcluded, OrderId};
use quadrille::{choreography::Choreography, prelude::*};

#[derive(Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema, DomainEvent)]
#[event(type = "POINTS_GRANTED", key = order, source = "loyalty")]
struct PointsGranted {
    order: OrderId,
    points: u64,
}

struct Loyalty;

impl Service for Loyalty {
    const NAME: &'static str = "loyalty";
    type Commands = ();
    type Handles = (OrderConcluded,);
    type Steps = (Retriable<PointsGranted>,);
}

#[handler]
impl EventHandler<OrderConcluded> for Loyalty {
    type Emits = (PointsGranted,);
    async fn handle(
        &self,
        concluded: &Incoming<OrderConcluded>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let points = concluded.total.minor() / 100;
        turn.execute(&concluded.customer, Grant { points }).await?;
        turn.record(PointsGranted { order: concluded.order.clone(), points });
        Ok(())
    }
}

#[allow(clippy::print_stdout)]
fn main() {
    print!("{}", Choreography::new().service::<Loyalty>().graph().mermaid());
}
