//! Whether a lane stands still although there is more in it. librdkafka was seen to cease fetching single
//! partitions after its broker had come back (2.12.1): it takes the place where it is for the end, and an
//! assignment anew changes nothing. Its statistics cannot tell such a lane from one that is quiet, so the broker
//! is asked. A new client reads on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::Statistics;

/// A topic and the number of a partition, as librdkafka says it.
type Place = (String, i32);

/// Where each lane is, and since when.
#[derive(Debug)]
pub(super) struct Standstill {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<Place, Lane>,
    asked: Option<Instant>,
}

#[derive(Debug)]
struct Lane {
    /// The offset that is fetched next: marks and aborted records move it, too.
    next: i64,
    since: Instant,
    /// When the broker first said that there is more behind `next`.
    behind: Option<Instant>,
}

impl Standstill {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, state: Mutex::default() }
    }

    /// What librdkafka tells of each lane.
    pub(super) fn note(&self, statistics: &Statistics) {
        let now = Instant::now();
        for topic in statistics.topics.values() {
            for lane in topic.partitions.values().filter(|lane| lane.partition >= 0) {
                let place = (topic.topic.clone(), lane.partition);
                self.position(place, lane.next_offset, lane.fetchq_cnt > 0, now);
            }
        }
    }

    /// `waiting`: records are there that nobody has taken yet.
    fn position(&self, place: Place, next: i64, waiting: bool, now: Instant) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = state.lanes.entry(place).or_insert(Lane { next, since: now, behind: None });
        if lane.next != next || waiting {
            *lane = Lane { next, since: now, behind: None };
        }
    }

    /// Of the lanes that are `read`, those whose end is to be asked for now: nothing has moved in them for a while.
    /// Called as often as one likes; every so often only it does something.
    pub(super) fn suspects(&self, read: impl FnOnce() -> Vec<Place>) -> Vec<Place> {
        self.suspects_at(read, Instant::now())
    }

    fn suspects_at(&self, read: impl FnOnce() -> Vec<Place>, now: Instant) -> Vec<Place> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = *state.asked.get_or_insert(now);
        if now.saturating_duration_since(asked) < self.while_() {
            return vec![];
        }
        state.asked = Some(now);
        let read = read();
        // A lane that is not read has to stand still, and is judged anew when it is read again.
        state.lanes.retain(|place, _| read.contains(place));
        let still = |lane: &Lane| now.saturating_duration_since(lane.since) >= self.while_();
        let suspects = state.lanes.iter().filter(|(_, lane)| still(lane));
        suspects.map(|(place, _)| place.clone()).collect()
    }

    /// The broker's answer. Says why a new client is to take over, when it is.
    pub(super) fn end(&self, place: &Place, end: i64) -> Option<String> {
        self.end_at(place, end, Instant::now())
    }

    fn end_at(&self, place: &Place, end: i64, now: Instant) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = state.lanes.get_mut(place)?;
        if end <= lane.next {
            lane.behind = None;
            return None;
        }
        let since = *lane.behind.get_or_insert(now);
        let lasted = now.saturating_duration_since(since);
        (lasted >= self.patience).then(|| {
            format!(
                "{}/{} ends at {end}, and librdkafka has stood still at {} for {} s: a new client takes over",
                place.0,
                place.1,
                lane.next,
                now.saturating_duration_since(lane.since).as_secs()
            )
        })
    }

    /// Brokers do not answer: whatever was behind may have stood still for that reason.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lanes.values_mut().for_each(|lane| lane.behind = None);
    }

    fn while_(&self) -> Duration {
        self.patience / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Lanes {
        watched: Standstill,
        start: Instant,
    }

    impl Lanes {
        /// A lane at offset 7 that is looked at from second 0 on.
        fn at_seven() -> Self {
            let lanes = Self { watched: Standstill::new(PATIENCE), start: Instant::now() };
            lanes.position(7, false, 0);
            assert!(lanes.suspected(0).is_empty());
            lanes
        }

        fn place() -> Place {
            ("orders".into(), 2)
        }

        fn after(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn position(&self, next: i64, waiting: bool, second: u64) {
            self.watched.position(Self::place(), next, waiting, self.after(second));
        }

        fn suspected(&self, second: u64) -> Vec<Place> {
            self.watched.suspects_at(|| vec![Self::place()], self.after(second))
        }

        fn end(&self, end: i64, second: u64) -> Option<String> {
            self.watched.end_at(&Self::place(), end, self.after(second))
        }
    }

    #[test]
    fn a_lane_that_stands_still_before_its_end_is_told_after_its_time() {
        let lanes = Lanes::at_seven();
        assert!(lanes.suspected(9).is_empty(), "not yet");
        assert_eq!(lanes.suspected(10), [Lanes::place()]);
        assert!(lanes.suspected(11).is_empty(), "it has just been asked for");
        assert_eq!(lanes.end(8, 10), None);
        assert_eq!(lanes.suspected(20), [Lanes::place()]);
        assert_eq!(lanes.end(9, 39), None);
        let why = lanes.end(9, 40).unwrap();
        assert!(why.contains("orders/2 ends at 9"), "{why}");
        assert!(why.contains("stood still at 7 for 40 s"), "{why}");
    }

    #[test]
    fn a_lane_at_its_end_may_be_quiet_for_ever() {
        let lanes = Lanes::at_seven();
        for second in [10, 1_000, 10_000] {
            assert_eq!(lanes.end(7, second), None);
        }
        // Then something comes, and the time begins.
        assert_eq!(lanes.end(8, 20_000), None);
        assert!(lanes.end(8, 20_030).is_some());
    }

    #[test]
    fn what_moves_or_waits_to_be_taken_does_not_stand_still() {
        for (next, waiting) in [(8, false), (7, true)] {
            let lanes = Lanes::at_seven();
            assert_eq!(lanes.end(9, 10), None);
            lanes.position(next, waiting, 35);
            assert!(lanes.suspected(40).is_empty());
            assert_eq!(lanes.end(9, 45), None);
            assert_eq!(lanes.end(9, 74), None);
            assert!(lanes.end(9, 75).is_some(), "from 45 on");
        }
    }

    #[test]
    fn a_lane_that_is_not_read_is_forgotten() {
        let lanes = Lanes::at_seven();
        assert_eq!(lanes.end(9, 10), None);
        assert!(lanes.watched.suspects_at(Vec::new, lanes.after(20)).is_empty());
        assert_eq!(lanes.end(9, 100), None, "it is not known any more");
        lanes.position(7, false, 101);
        assert_eq!(lanes.end(9, 102), None);
        assert_eq!(lanes.end(9, 131), None);
        assert!(lanes.end(9, 132).is_some());
    }

    #[test]
    fn the_time_in_which_no_broker_answers_does_not_count() {
        let lanes = Lanes::at_seven();
        assert_eq!(lanes.end(9, 10), None);
        lanes.watched.forget();
        assert_eq!(lanes.end(9, 60), None);
        assert_eq!(lanes.end(9, 89), None);
        assert!(lanes.end(9, 90).is_some());
    }
}
