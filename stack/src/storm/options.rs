//! How long, how hard, from which seed.

use std::{path::PathBuf, time::Duration};

/// What a storm is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long orders are placed and faults come, in minutes.
    pub minutes: f64,
    /// Orders a second.
    pub rate: u32,
    /// Processes of each service.
    pub instances: u32,
    /// What orders and faults are drawn from.
    pub seed: u64,
    /// Where servers and processes keep their data and output.
    pub folder: PathBuf,
    /// The program `stack-service`.
    pub program: PathBuf,
    /// The program `xtask`, which starts the servers.
    pub xtask: PathBuf,
}

impl Options {
    /// For how long orders are placed.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// No more orders are placed than this: on a busy machine the faults take longer than planned, and
    /// orders are placed until the last of them is over.
    #[must_use]
    pub fn orders_max(&self) -> u64 {
        4 * (self.duration().as_secs() + 60) * u64::from(self.rate)
    }

    /// Names the servers.
    pub(super) fn name(&self) -> String {
        format!("storm-{}", std::process::id())
    }
}
