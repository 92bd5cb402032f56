//! What is told at the end.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use checker::report::Report;
use serde_json::{Value, json};

pub use super::recovery::Times;
use super::recovery::median_and_maximum;

/// A storm that is over.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it was drawn from.
    pub seed: u64,
    /// How long it was, in minutes.
    pub minutes: f64,
    /// Orders a second.
    pub rate: u32,
    /// Processes of each service.
    pub instances: u32,
    /// Orders that were taken.
    pub orders: u64,
    /// Faults that were done.
    pub faults: usize,
    /// What went wrong that the checker cannot see: orders that were refused, processes that ended by
    /// themselves, no quiet in time.
    pub troubles: Vec<String>,
    /// How long each role took to recover.
    pub recovery: BTreeMap<&'static str, Times>,
    /// What the checker says.
    pub report: Report,
    /// How long everything took, in seconds.
    pub seconds: f64,
    /// Where data and output are when something was wrong.
    pub folder: PathBuf,
}

impl Outcome {
    /// Whether all was well: every invariant holds, and every role has recovered.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.report.holds() && self.troubles.is_empty() && self.all_recovered()
    }

    fn all_recovered(&self) -> bool {
        self.recovery.values().all(|times| times.ready_ms.len() == times.faults)
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let times = |sorted: &[u64]| {
            median_and_maximum(sorted)
                .map(|(median, maximum)| json!({"median": median, "maximum": maximum}))
        };
        let recovery: BTreeMap<&str, Value> = self
            .recovery
            .iter()
            .map(|(role, it)| {
                let (ready, order) = (times(&it.ready_ms), times(&it.order_ms));
                (
                    *role,
                    json!({"faults": it.faults, "ready_ms": ready, "order_concluded_ms": order}),
                )
            })
            .collect();
        let folder = (!self.holds()).then(|| self.folder.display().to_string());
        json!({
            "holds": self.holds(), "seed": self.seed, "minutes": self.minutes, "rate": self.rate,
            "instances": self.instances, "orders": self.orders, "faults": self.faults,
            "troubles": self.troubles, "recovery": recovery, "check": self.report.json(),
            "seconds": self.seconds, "folder": folder,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report)?;
        for trouble in &self.troubles {
            writeln!(f, "VIOLATED {trouble}")?;
        }
        writeln!(
            f,
            "\nrecovery     faults   ready again, median / max   first new order concluded"
        )?;
        let seconds = |sorted: &[u64]| match median_and_maximum(sorted) {
            Some((median, most)) => format!("{:6.1} / {:5.1} s", tenths(median), tenths(most)),
            None => "-".to_owned(),
        };
        for (role, it) in &self.recovery {
            let (ready, order) = (seconds(&it.ready_ms), seconds(&it.order_ms));
            write!(f, "{role:<12} {:>6}   {ready:>25}   {order:>25}", it.faults)?;
            match it.faults - it.ready_ms.len() {
                0 => writeln!(f)?,
                lost => writeln!(f, "   VIOLATED: {lost} times not ready again")?,
            }
        }
        let Self { orders, faults, seed, seconds, .. } = self;
        writeln!(f, "\n{orders} orders, {faults} faults, seed {seed}, {seconds:.0} s")?;
        if self.holds() {
            writeln!(f, "all invariants hold")
        } else {
            writeln!(f, "VIOLATED; data and output are in {}", self.folder.display())
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn tenths(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
