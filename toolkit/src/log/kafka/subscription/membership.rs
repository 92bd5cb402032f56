//! Whether the group has a place for this member. librdkafka joins again by itself whenever it has lost its
//! coordinator, and was seen to fail at it for as long as anybody watched (2.12.1, after a broker that stood still
//! for longer than a session lasts): its request to join waits for a coordinator that it does not look for any
//! more. A new client finds one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::Statistics;

/// What librdkafka calls a member that has its place, also one without a lane.
const SETTLED: (&str, &str) = ("up", "steady");
/// … and one whose topics are not there yet: there is no group to have a place in.
const WITHOUT_TOPICS: (&str, &str) = ("up", "init");

/// How long this member has been without a place.
#[derive(Debug)]
pub(super) struct Membership {
    patience: Duration,
    without: Mutex<Option<Without>>,
}

#[derive(Debug)]
struct Without {
    since: Instant,
    /// librdkafka's words for what it does instead.
    doing: String,
}

impl Membership {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, without: Mutex::new(None) }
    }

    /// `answered`: whether a broker answers at all. Without one there is no place to be had.
    pub(super) fn note(&self, statistics: &Statistics, answered: bool) {
        if let Some(group) = &statistics.cgrp {
            self.standing((&group.state, &group.join_state), answered, Instant::now());
        }
    }

    fn standing(&self, standing: (&str, &str), answered: bool, now: Instant) {
        let mut without = self.without.lock().unwrap_or_else(PoisonError::into_inner);
        if standing == SETTLED || standing == WITHOUT_TOPICS || !answered {
            *without = None;
            return;
        }
        let doing = format!("{}, {}", standing.0, standing.1);
        let since = without.as_ref().map_or(now, |without| without.since);
        *without = Some(Without { since, doing });
    }

    /// Why a new client is to take over, when it is.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost_at(Instant::now())
    }

    fn lost_at(&self, now: Instant) -> Option<String> {
        let without = self.without.lock().unwrap_or_else(PoisonError::into_inner);
        let Without { since, doing } = without.as_ref()?;
        let lasted = now.saturating_duration_since(*since);
        (lasted > self.patience).then(|| {
            format!(
                "brokers answer, and the group has had no place for this member for {} s (librdkafka: {doing}): a new client takes over",
                lasted.as_secs()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(45);
    const JOINING: (&str, &str) = ("wait-coord", "wait-join");

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_member_without_a_place_for_too_long_is_lost() {
        let (membership, start) = (Membership::new(PATIENCE), Instant::now());
        assert_eq!(membership.lost_at(after(start, 1_000)), None, "nothing is known yet");
        membership.standing(JOINING, true, start);
        membership.standing(("up", "wait-join"), true, after(start, 40));
        assert_eq!(membership.lost_at(after(start, 45)), None);
        let why = membership.lost_at(after(start, 46)).unwrap();
        assert!(why.contains("for 46 s (librdkafka: up, wait-join)"), "{why}");
    }

    #[test]
    fn a_place_in_between_begins_the_time_anew() {
        let (membership, start) = (Membership::new(PATIENCE), Instant::now());
        membership.standing(JOINING, true, start);
        for (settled, at) in [(SETTLED, 40), (WITHOUT_TOPICS, 100)] {
            membership.standing(settled, true, after(start, at));
            assert_eq!(membership.lost_at(after(start, 1_000)), None);
            membership.standing(JOINING, true, after(start, at + 10));
            assert_eq!(membership.lost_at(after(start, at + 50)), None);
            assert!(membership.lost_at(after(start, at + 56)).is_some());
        }
    }

    /// A new client would find no broker either.
    #[test]
    fn the_time_in_which_no_broker_answers_does_not_count() {
        let (membership, start) = (Membership::new(PATIENCE), Instant::now());
        membership.standing(JOINING, true, start);
        membership.standing(JOINING, false, after(start, 40));
        membership.standing(JOINING, true, after(start, 300));
        assert_eq!(membership.lost_at(after(start, 340)), None);
        assert!(membership.lost_at(after(start, 346)).is_some());
    }
}
