//! One figure of the report.

use crate::{meter::Run, sample::Spread};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Of two measurements.
    Ratio,
    /// Sagas a second.
    SagasPerSecond,
    Millis,
    /// CPU time a saga.
    Micros,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::SagasPerSecond => "sagas/s",
            Self::Millis => "ms",
            Self::Micros => "µs",
        }
    }
}

/// What a figure's median should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// It explains another.
    None,
}

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name in JSON: the case's name first.
    pub(crate) key: String,
    /// What it is, for people.
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) spread: Spread,
    pub(crate) target: Target,
    /// The same ratio by CPU time, which a busy machine hardly changes.
    pub(crate) by_cpu: Option<f64>,
    /// CPU time an item of the toolkit's side, and of the hand-written one.
    pub(crate) costs: Option<(Costs, Costs)>,
}

/// Microseconds of CPU an item.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) client: Option<f64>,
    pub(crate) postgres: Option<f64>,
    pub(crate) kafka: Option<f64>,
    pub(crate) total: Option<f64>,
}

impl Costs {
    pub(crate) fn of(run: &Run) -> Self {
        let micros = |of| run.cpu_micros(of);
        Self {
            client: micros(run.cpu.client),
            postgres: micros(run.cpu.postgres),
            kafka: micros(run.cpu.kafka),
            total: micros(run.cpu.total()),
        }
    }
}

impl Figure {
    pub(crate) fn new(
        key: impl Into<String>,
        what: impl Into<String>,
        unit: Unit,
        spread: Spread,
        target: Target,
    ) -> Self {
        let (key, what) = (key.into(), what.into());
        Self { key, what, unit, spread, target, by_cpu: None, costs: None }
    }

    /// Whether its median is what it should be; nothing when it has no target.
    pub(crate) fn met(&self) -> Option<bool> {
        let median = self.spread.median;
        match self.target {
            Target::AtLeast(wanted) => Some(median >= wanted),
            Target::AtMost(wanted) => Some(median <= wanted),
            Target::None => None,
        }
    }
}
