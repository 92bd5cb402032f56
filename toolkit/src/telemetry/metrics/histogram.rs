//! A histogram that costs two atomic additions an observation.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::text::Text;

/// Upper bounds, in microseconds, from half a millisecond to half a minute.
const SECONDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];
const NUMBERS: &[u64] = &[0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
const MICROSECONDS: f64 = 1_000_000.0;

/// Observations by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    /// How many of the counted make one of the unit that is shown.
    unit: f64,
    /// One for each bound, and one for what is above all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn of_seconds() -> Self {
        Self::new(SECONDS, MICROSECONDS)
    }

    pub(super) fn of_numbers() -> Self {
        Self::new(NUMBERS, 1.0)
    }

    fn new(bounds: &'static [u64], unit: f64) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, unit, buckets, sum: AtomicU64::new(0) }
    }

    pub(crate) fn observe_time(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn observe(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn write(&self, text: &mut Text, name: &str, what: &str) {
        text.head(name, "histogram", what);
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in self.bounds.iter().zip(&self.buckets) {
            below += count.load(Ordering::Relaxed);
            text.sample(&bucket, &[("le", &self.shown(*bound).to_string())], below);
        }
        below += self.buckets.last().map_or(0, |count| count.load(Ordering::Relaxed));
        text.sample(&bucket, &[("le", "+Inf")], below);
        text.sample(&format!("{name}_sum"), &[], self.shown(self.sum.load(Ordering::Relaxed)));
        text.sample(&format!("{name}_count"), &[], below);
    }

    #[allow(clippy::cast_precision_loss)]
    fn shown(&self, counted: u64) -> f64 {
        counted as f64 / self.unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::of_seconds();
        for micros in [0, 500, 501, 40_000_000] {
            histogram.observe_time(Duration::from_micros(micros));
        }
        let mut text = Text::of("order");
        histogram.write(&mut text, "t_seconds", "Time");
        let text = text.done();
        for line in [
            "# TYPE quadrille_t_seconds histogram",
            "quadrille_t_seconds_bucket{service=\"order\",le=\"0.0005\"} 2",
            "quadrille_t_seconds_bucket{service=\"order\",le=\"0.001\"} 3",
            "quadrille_t_seconds_bucket{service=\"order\",le=\"30\"} 3",
            "quadrille_t_seconds_bucket{service=\"order\",le=\"+Inf\"} 4",
            "quadrille_t_seconds_sum{service=\"order\"} 40.001001",
            "quadrille_t_seconds_count{service=\"order\"} 4",
        ] {
            assert!(text.lines().any(|has| has == line), "{line} is not in\n{text}");
        }
    }
}
