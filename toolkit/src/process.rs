//! A service as a process of its own, on PostgreSQL and Kafka.
//!
//! ```no_run
//! # use quadrille::{engine::Client, Service};
//! # fn example<S: Service + Clone>(service: S, router: fn(Client<S>) -> axum::Router) -> std::process::ExitCode {
//! quadrille::process::main(service, router)
//! # }
//! ```
//!
//! * *Configuration* comes from variables with the prefix `QUADRILLE_` and, for what they do not say, from
//!   a JSON file. Everything that is wrong is listed at once. `--help` tells all of it, `--check-config`
//!   shows what is in force.
//! * *Start order does not matter.* As long as PostgreSQL or Kafka do not answer, the process keeps trying;
//!   `/livez` answers from the beginning, and `/readyz` says what is missing.
//! * *SIGTERM and SIGINT drain* (P16): `/readyz` turns to 503, nothing more is taken in, what was begun is
//!   committed and published. A second signal ends the process at once, which is always safe.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | drained after a signal; `--help`, `--check-config` |
//! | 1 | did not drain in time, or a server holds what does not fit and only a person can mend it |
//! | 2 | the configuration or the command line is wrong |
//! | 130, 143 | ended by a second SIGINT or SIGTERM |

mod boot;
mod front;
mod help;
mod lifecycle;
mod own;
mod settings;
mod signals;
mod sources;
mod values;
mod variables;

use std::{ffi::OsString, fmt::Write as _, process::ExitCode};

use axum::Router;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::settings::settings_of;
pub use self::{
    own::{Own, OwnVariable},
    settings::{Settings, SettingsError},
};
use crate::{engine::Client, service::Service};

/// The configuration or the command line is wrong.
const EXIT_USAGE: u8 = 2;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Run,
    Help,
    CheckConfig,
}

/// Runs a service until a signal ends it. To be called by `main`; it makes its own tokio runtime.
///
/// `router` is given the client of the running engine, and makes the service's HTTP interface, as a rule
/// with [`http::interface`](crate::http::interface).
pub fn main<S, R>(service: S, router: R) -> ExitCode
where
    S: Service + Clone,
    R: FnOnce(Client<S>) -> Router + Send + 'static,
{
    main_configured(&[], |_| Some((service, router)))
}

/// As [`main`], for a service with variables of its own: `--help` lists them, and what is wrong with them is
/// told with all else.
///
/// `configure` reads them, and gives the service and the maker of its router; or `None` when it could not.
pub fn main_configured<S, R>(
    variables: &'static [OwnVariable],
    configure: impl FnOnce(&mut Own) -> Option<(S, R)>,
) -> ExitCode
where
    S: Service + Clone,
    R: FnOnce(Client<S>) -> Router + Send + 'static,
{
    let asked = match asked(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => {
            show(&help::text(S::NAME, variables));
            return ExitCode::SUCCESS;
        }
        Ok(asked) => asked,
        Err(error) => {
            complain(&format!("{}: {error}\n", S::NAME));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let mut own = Own::from_environment();
    let configured = configure(&mut own);
    let (settings, own) = match own.beside(settings::from_environment()) {
        Ok(both) => both,
        Err(error) => {
            complain(&format!("{}: {error}\n", S::NAME));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let Some((service, router)) = configured else {
        complain(&format!("{}: it is not configured, and does not say why\n", S::NAME));
        return ExitCode::from(EXIT_USAGE);
    };
    if asked == Asked::CheckConfig {
        show(&settings.report());
        show(&own);
        return ExitCode::SUCCESS;
    }
    lifecycle::run(service, router, settings)
}

fn asked(mut args: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let Some(first) = args.next() else { return Ok(Asked::Run) };
    let asked = match first.to_str() {
        Some("--help" | "-h") => Asked::Help,
        Some("--check-config") => Asked::CheckConfig,
        _ => return Err(format!("unknown argument {first:?}; --help tells what there is")),
    };
    match args.next() {
        None => Ok(asked),
        Some(more) => Err(format!("{first:?} stands alone, and {more:?} follows")),
    }
}

#[allow(clippy::print_stdout)]
fn show(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr)]
fn complain(text: &str) {
    eprint!("{text}");
}

/// Lines, each with two blanks before it.
fn indented(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        // Writing to a string succeeds.
        let _ = writeln!(text, "  {line}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Asked, String> {
        asked(args.iter().map(OsString::from))
    }

    #[test]
    fn the_command_line_has_two_words() {
        assert_eq!(parse(&[]), Ok(Asked::Run));
        assert_eq!(parse(&["--help"]), Ok(Asked::Help));
        assert_eq!(parse(&["--check-config"]), Ok(Asked::CheckConfig));
        assert!(parse(&["--check-confg"]).unwrap_err().contains("--check-confg"));
        assert!(parse(&["--help", "me"]).unwrap_err().contains("me"));
    }
}
