//! Dead letters and sagas: what the services' operator interfaces know, over HTTP.

pub(crate) mod letters;
mod line;
mod names;
pub(crate) mod saga;
mod timeline;

use std::io::Write as _;

use clap::Args;

use self::line::{Line, Trouble};
use crate::output::Failure;

/// Which services to ask, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Services {
    /// A service to ask: `name=http://host:port`, or the address alone. May be given several times.
    #[arg(
        long = "service",
        value_name = "NAME=URL",
        env = "QUADRILLE_SERVICES",
        value_delimiter = ','
    )]
    services: Vec<String>,
    /// The token of the services' QUADRILLE_OPERATOR_TOKEN. Give it by the environment, so that nobody reads it in
    /// the list of processes.
    #[arg(long, value_name = "TOKEN", env = "QUADRILLE_OPERATOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Services {
    fn lines(&self) -> Result<Vec<Line>, Failure> {
        let texts = self.services.iter().map(|text| text.trim());
        let asked: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        if asked.is_empty() {
            return Err(Failure::Usage(
                "no service to ask: add --service order=http://127.0.0.1:8080 (as often as there are services), or \
                 set QUADRILLE_SERVICES=\"order=http://…,payment=http://…\"; `cargo xtask up` and `cargo demo --serve` \
                 print that line"
                    .to_owned(),
            ));
        }
        asked
            .into_iter()
            .map(|text| Line::to(text, self.token.as_deref()).map_err(Failure::Usage))
            .collect()
    }
}

/// Runs a conversation with the services.
fn talk<T>(conversation: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Said(format!("no tasks: {error}")))?.block_on(conversation)
}

/// Names those who do not answer; a failure when nobody does.
fn name_the_silent(silent: &[(String, Trouble)], asked: usize) -> Result<(), Failure> {
    let names: Vec<String> =
        silent.iter().map(|(name, trouble)| format!("{name} does not answer: {trouble}")).collect();
    if silent.len() == asked {
        return Err(Failure::Found(names));
    }
    for name in names {
        // When standard error is closed, nobody listens.
        let _ = writeln!(std::io::stderr().lock(), "warning: {name}");
    }
    Ok(())
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| Failure::Said(error.to_string()))
}
