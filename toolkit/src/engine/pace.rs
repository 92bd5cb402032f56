//! How far apart batches start: not at all when there is little to do, further apart the more there is, up
//! to a limit. Few large commits cost less than many small ones; whoever is alone never waits for company.

use std::time::Duration;

use crate::runtime::Timestamp;

/// Up to so many works in the longest interval there is no load: nobody waits.
const WORKS_IDLE: u64 = 16;
/// From so many on the interval is the longest.
const WORKS_FULL: u64 = 160;

/// Spaces the starts of batches out by how much work there was in the last of them.
#[derive(Debug)]
pub(super) struct Pace {
    max: Duration,
    last: Timestamp,
    /// Works that arrive in `max`, smoothed over the last starts.
    works_in_max: u64,
}

impl Pace {
    /// With the longest interval; zero switches it off.
    pub(super) fn new(max: Duration) -> Self {
        Self { max, last: Timestamp::default(), works_in_max: 0 }
    }

    /// A batch of so many works starts.
    pub(super) fn started(&mut self, now: Timestamp, works: usize) {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let since = micros(now.since(self.last)).max(1);
        let seen = (works as u64).saturating_mul(micros(self.max)) / since;
        // What is seen after an idle time counts alone: it tells all about it.
        let weight = if since >= micros(self.max) { 4 } else { 1 };
        self.works_in_max = (self.works_in_max * (4 - weight)).saturating_add(seen * weight) / 4;
        self.last = now;
    }

    /// How long the next start has to wait from now; `None` when it need not.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        let load = self.works_in_max.saturating_sub(WORKS_IDLE).min(WORKS_FULL - WORKS_IDLE);
        let share = u32::try_from(load).unwrap_or(u32::MAX);
        let interval = self.max * share / u32::try_from(WORKS_FULL - WORKS_IDLE).unwrap_or(1);
        let pause = self.last.plus(interval).since(now);
        // A clock that was set back must not make a pause of an hour.
        (!pause.is_zero()).then(|| pause.min(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_millis(20);

    fn at(millis: u64) -> Timestamp {
        Timestamp::default().plus(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    /// Starts every `every` milliseconds, with so many works each.
    fn after(starts: u64, every: u64, works: usize) -> (Pace, u64) {
        let mut pace = Pace::new(MAX);
        for n in 0..starts {
            pace.started(at(n * every), works);
        }
        (pace, (starts - 1) * every)
    }

    #[test]
    fn a_lone_message_never_waits() {
        assert_eq!(Pace::new(MAX).pause(at(0)), None);
        // 400 a second, one or two in a batch.
        let (pace, now) = after(100, 4, 2);
        assert_eq!(pace.pause(at(now)), None);
        // After any load: once the interval is over.
        let (pace, now) = after(100, 4, 500);
        assert!(pace.pause(at(now)).is_some());
        assert_eq!(pace.pause(at(now + 20)), None);
    }

    #[test]
    fn the_first_message_after_an_idle_time_ends_the_load() {
        let (mut pace, now) = after(100, 4, 500);
        pace.started(at(now + 100), 1);
        assert_eq!(pace.pause(at(now + 100)), None, "the one that follows it does not wait either");
    }

    #[test]
    fn the_interval_grows_with_the_load_up_to_its_limit() {
        let pause_at = |works| {
            let (pace, now) = after(100, 5, works);
            pace.pause(at(now)).unwrap_or_default()
        };
        assert!(pause_at(10) < pause_at(20) && pause_at(20) < pause_at(30));
        assert_eq!(pause_at(50), MAX);
        assert_eq!(pause_at(5_000), MAX);
    }

    #[test]
    fn paced_batches_do_not_look_like_less_load() {
        // As many works a second, in intervals of the longest kind.
        let (pace, now) = after(100, 20, 200);
        assert_eq!(pace.pause(at(now)), Some(MAX));
    }

    #[test]
    fn without_a_limit_there_is_no_pause() {
        let mut pace = Pace::new(Duration::ZERO);
        for n in 0..10 {
            pace.started(at(n), 1_000);
            assert_eq!(pace.pause(at(n)), None);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_costs_one_interval_at_most() {
        let (pace, now) = after(100, 4, 500);
        assert_eq!(pace.pause(at(now).plus(Duration::ZERO)), Some(MAX));
        assert_eq!(pace.pause(Timestamp::default()), Some(MAX));
    }
}
