//! One program, run under one mutant.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::build::{Programs, Suite};
use crate::process::{Launch, Output, Process};

/// Chooses the mutant of a process; `toolkit/src/mutant.rs` reads it.
const VARIABLE: &str = "QUADRILLE_MUTANT";

/// What is run: the simulation first, then each suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Simulation { seeds: u64 },
    Suite(usize),
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    /// Nothing failed.
    Passed,
    /// What failed, and after how many seeds, where it was the simulation.
    Failed {
        what: String,
        seeds: Option<u64>,
    },
    TimedOut,
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) step: Step,
    suite: Option<String>,
    process: Process,
    log: PathBuf,
    started: Instant,
    timeout: Duration,
}

impl Trial {
    /// Starts it; `mutant` is empty for a sound run.
    pub(super) fn start(
        programs: &Programs,
        step: Step,
        mutant: &str,
        logs: &Path,
        timeout: Duration,
    ) -> Result<Self> {
        let suite = match step {
            Step::Simulation { .. } => None,
            Step::Suite(index) => programs.suites.get(index),
        };
        let run = if mutant.is_empty() { "sound" } else { mutant };
        let name = suite.map_or("simulation", |suite| &suite.name);
        let log = logs.join(format!("{run}-{name}.log"));
        fs::write(&log, "")?;
        let launch = match (step, suite) {
            (Step::Suite(_), Some(suite)) => Launch::new(name, &suite.program).dir(&suite.dir),
            (Step::Simulation { seeds }, _) => simulation(programs, seeds),
            (Step::Suite(index), None) => anyhow::bail!("there is no suite {index}"),
        };
        let launch = launch.env(VARIABLE, mutant).output(Output::Log(log.clone()));
        // What is not wanted any more has nothing to tidy up.
        let process = launch.stop(Signal::SIGKILL, Duration::from_secs(5)).spawn()?;
        let suite = suite.map(|suite: &Suite| suite.name.clone());
        Ok(Self { step, suite, process, log, started: Instant::now(), timeout })
    }

    pub(super) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// How it ended, if it has; the first test that fails ends it.
    pub(super) fn poll(&mut self) -> Result<Option<Ended>> {
        let status = self.process.try_wait()?;
        let text = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let failure = match &self.suite {
            Some(suite) => failed_test(&text).map(|test| (format!("{suite}: {test}"), None)),
            None => broken_seed(&text),
        };
        if let Some((what, seeds)) = failure {
            return Ok(Some(Ended::Failed { what, seeds }));
        }
        Ok(match status {
            Some(status) if status.success() => Some(Ended::Passed),
            Some(status) => {
                let name = self.suite.as_deref().unwrap_or("simulation");
                Some(Ended::Failed { what: format!("{name} ended with {status}"), seeds: None })
            }
            None if self.took() > self.timeout => Some(Ended::TimedOut),
            None => None,
        })
    }
}

fn simulation(programs: &Programs, seeds: u64) -> Launch {
    let arguments = ["--until-broken", "--json", "--jobs", "1", "--seeds"];
    Launch::new("simulate", &programs.simulate).args(arguments).arg(seeds.to_string())
}

/// The first test that failed, in the output of a test program.
fn failed_test(text: &str) -> Option<String> {
    let failed = |line: &str| {
        Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.trim().to_owned())
    };
    text.lines().find_map(failed)
}

/// What the simulation found, and after how many seeds.
fn broken_seed(text: &str) -> Option<(String, Option<u64>)> {
    text.lines().find_map(|line| {
        let found: Value = serde_json::from_str(line).ok()?;
        let (runs, broken) = (found["runs"].as_u64()?, found["broken"].as_str()?);
        Some((broken.lines().next().unwrap_or_default().to_owned(), Some(runs)))
    })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_first_failed_test_is_found() {
        let text = "test a::b ... ok\ntest a::c ... FAILED\ntest a::d ... FAILED\n";
        assert_eq!(failed_test(text).as_deref(), Some("a::c"));
        assert_eq!(failed_test("test a::b ... ok\nFAILED\n"), None);
    }

    #[test]
    fn what_the_simulation_found_is_read() {
        let text =
            "{\"broken\":\"a law\\nmore\",\"runs\":3,\"seed\":2}\n{\"failures\":1,\"seeds\":3}\n";
        assert_eq!(broken_seed(text), Some(("a law".to_owned(), Some(3))));
        assert_eq!(broken_seed("{\"failures\":0,\"seeds\":3}\n"), None);
    }
}
