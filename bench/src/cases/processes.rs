//! Sagas a second with the services in four processes: the driver is in the order's.

use anyhow::Result;

use super::whole::one;
use crate::{case::Case, context::Context, duel, figure::Target, stage::Setup};

pub(crate) const CASE: Case = Case {
    name: "processes",
    what: "sagas/s of the four services in four processes on PostgreSQL and Kafka",
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Result<()> {
    let setup = Setup { processes: true, ..Setup::default() };
    let mut runs = vec![];
    for _ in 0..context.size(1, 3) {
        runs.push(one(context, setup).await?);
    }
    duel::sagas(context, "processes", "four processes", &runs, Target::AtLeast(10_000.0))
}
