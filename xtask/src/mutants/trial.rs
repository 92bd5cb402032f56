//! One program, run under one mutant.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::build::Programs;
use crate::process::{Launch, Output, Process};

/// Chooses the mutant of a process; `toolkit/src/mutant.rs` reads it.
const VARIABLE: &str = "QUADRILLE_MUTANT";

/// What is run: the simulation first, then each suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Simulation {
        seeds: u64,
    },
    Tests(Tests),
    /// One of these tests alone, once more: on a busy machine a test may fail for other reasons.
    Confirm {
        of: Tests,
        test: String,
    },
}

/// Tests of one suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tests {
    /// The suite's number.
    pub(super) suite: usize,
    /// Only those whose name has this; empty for all.
    pub(super) only: String,
    /// But not these.
    pub(super) skip: Vec<String>,
}

impl Step {
    /// The suite that it is of, if it is of one.
    pub(super) fn suite(&self) -> Option<usize> {
        match self {
            Self::Simulation { .. } => None,
            Self::Tests(tests) | Self::Confirm { of: tests, .. } => Some(tests.suite),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let word = str::to_owned;
        match self {
            Self::Simulation { seeds } => {
                let words = ["--until-broken", "--json", "--jobs", "1", "--seeds"];
                words.map(word).into_iter().chain([seeds.to_string()]).collect()
            }
            Self::Tests(Tests { only, skip, .. }) => {
                let skip = skip.iter().flat_map(|test| [word("--skip"), test.clone()]);
                Some(only.clone()).filter(|only| !only.is_empty()).into_iter().chain(skip).collect()
            }
            Self::Confirm { test, .. } => vec![word("--exact"), test.clone()],
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    /// Nothing failed.
    Passed,
    /// What the simulation found broken, and after how many seeds.
    Broken {
        what: String,
        seeds: u64,
    },
    /// This test failed.
    Failed {
        test: String,
    },
    /// It ended in another way.
    Crashed {
        how: String,
    },
    TimedOut,
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) step: Step,
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
        let suite = step.suite().and_then(|index| programs.suites.get(index));
        let run = if mutant.is_empty() { "sound" } else { mutant };
        let name = suite.map_or("simulation", |suite| &suite.name);
        let log = logs.join(format!("{run}-{name}.log"));
        fs::write(&log, "")?;
        let launch = match suite {
            Some(suite) => Launch::new(name, &suite.program).dir(&suite.dir),
            None => Launch::new(name, &programs.simulate),
        };
        let launch =
            launch.args(step.arguments()).env(VARIABLE, mutant).output(Output::Log(log.clone()));
        // What is not wanted any more has nothing to tidy up.
        let process = launch.stop(Signal::SIGKILL, Duration::from_secs(5)).spawn()?;
        Ok(Self { step, process, log, started: Instant::now(), timeout })
    }

    pub(super) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// How it ended, if it has; the first test that fails ends it.
    pub(super) fn poll(&mut self) -> Result<Option<Ended>> {
        let status = self.process.try_wait()?;
        let text = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let failure = match self.step {
            Step::Simulation { .. } => broken_seed(&text),
            _ => failed_test(&text).map(|test| Ended::Failed { test }),
        };
        if failure.is_some() {
            return Ok(failure);
        }
        Ok(match status {
            Some(status) if status.success() => Some(Ended::Passed),
            Some(status) => Some(Ended::Crashed { how: status.to_string() }),
            None if self.took() > self.timeout => Some(Ended::TimedOut),
            None => None,
        })
    }
}

/// The first test that failed, in the output of a test program.
fn failed_test(text: &str) -> Option<String> {
    let failed = |line: &str| {
        Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.trim().to_owned())
    };
    text.lines().find_map(failed)
}

/// What the simulation found, and after how many seeds.
fn broken_seed(text: &str) -> Option<Ended> {
    text.lines().find_map(|line| {
        let found: Value = serde_json::from_str(line).ok()?;
        let (seeds, broken) = (found["runs"].as_u64()?, found["broken"].as_str()?);
        Some(Ended::Broken { what: broken.lines().next()?.to_owned(), seeds })
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
        assert_eq!(broken_seed(text), Some(Ended::Broken { what: "a law".to_owned(), seeds: 3 }));
        assert_eq!(broken_seed("{\"failures\":0,\"seeds\":3}\n"), None);
    }
}
