//! The choreography that the command line knows.

use inventory::Inventory;
use order::Orders;
use payment::Payment;
use quadrille::choreography::Choreography;
use shipping::Shipping;

/// All services of the story.
pub(crate) fn story() -> Choreography {
    Choreography::new()
        .service::<Orders>()
        .service::<Payment>()
        .service::<Inventory>()
        .service::<Shipping>()
}
