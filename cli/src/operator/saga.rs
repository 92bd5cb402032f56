//! `quadrille saga`: everything that happened in one saga, in all services that answer.

use clap::Args;
use quadrille::{id::SagaId, operator::SagaView};

use super::{Services, name_the_silent, talk, timeline, to_json};
use crate::output::{self, Failure};

/// Everything that happened in one saga: events with their causes, attempts, what is parked or dead, deadlines,
/// effects, and what persons have ruled.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The saga's id: the answer to a command has it, and every event, as `ce_correlationid`.
    saga: SagaId,
    #[command(flatten)]
    services: Services,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    talk(show(arguments))
}

async fn show(arguments: &Arguments) -> Result<(), Failure> {
    let lines = arguments.services.lines()?;
    let (mut sagas, mut silent) = (vec![], vec![]);
    for line in &lines {
        match line.get::<SagaView>(&format!("/operator/sagas/{}", arguments.saga)).await {
            Ok(saga) => sagas.push(saga),
            Err(trouble) => silent.push((line.name.clone(), trouble)),
        }
    }
    name_the_silent(&silent, lines.len())?;
    let known = |saga: &SagaView| {
        !(saga.events.is_empty() && saga.open.is_empty() && saga.rulings.is_empty())
    };
    if !sagas.iter().any(known) {
        return Err(Failure::Said(format!(
            "no service that answers knows a saga {}",
            arguments.saga
        )));
    }
    let text = if arguments.services.json { to_json(&sagas)? } else { timeline::text(&sagas) };
    output::write(&text, None)
}
