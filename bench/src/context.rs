//! What every case has at hand: servers, sizes, and where figures go.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;

use crate::{
    figure::Figure,
    grounds::Grounds,
    meter::{Meter, Processes},
};

/// Servers, sizes, and the figures so far.
#[derive(Debug)]
pub struct Context {
    pub(crate) grounds: Grounds,
    pub(crate) processes: Processes,
    /// A smoke run.
    pub(crate) quick: bool,
    figures: Mutex<Vec<Figure>>,
}

impl Context {
    /// With the servers that the environment names.
    pub(crate) fn from_environment(quick: bool) -> Result<Self> {
        let process = |name| std::env::var(name).ok().and_then(|id| id.parse().ok());
        let processes = Processes {
            postgres: process("QUADRILLE_BENCH_POSTGRES_PID"),
            kafka: process("QUADRILLE_BENCH_KAFKA_PID"),
        };
        let grounds = Grounds::from_environment()?;
        Ok(Self { grounds, processes, quick, figures: Mutex::default() })
    }

    /// One of two sizes.
    pub(crate) fn size<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How often each side of a comparison has its turn.
    pub(crate) fn rounds(&self) -> usize {
        self.size(2, 7)
    }

    /// How long one turn lasts.
    pub(crate) fn turn(&self) -> Duration {
        self.size(Duration::from_millis(150), Duration::from_millis(1_000))
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::start(self.processes)
    }

    /// Says what is being done.
    #[allow(clippy::print_stderr, reason = "progress is for the terminal")]
    pub(crate) fn say(&self, what: impl std::fmt::Display) {
        eprintln!("bench:   {what}");
    }

    /// Takes a figure for the report.
    pub(crate) fn figure(&self, figure: Figure) {
        let Figure { what, unit, spread, .. } = &figure;
        self.say(format_args!(
            "{what}: {:.3} {} ({:.3} to {:.3})",
            spread.median,
            unit.name(),
            spread.min,
            spread.max
        ));
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).push(figure);
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
