//! Every bound of the engine, by name and with its unit.

use std::time::Duration;

/// Bounds on queues, batches, sizes and times. The defaults suit a service of some thousand sagas a
/// second on a small machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages and commands in one append.
    pub batch_works_max: usize,
    /// Payloads in one append, in bytes: of the messages that it handles and the events that they make. The work
    /// that goes beyond it is the last of its batch. Works that wait for their streams have not made any yet.
    pub batch_bytes_max: usize,
    /// Commands that wait for the decider; more are answered [`Busy`](super::ClientError::Busy).
    pub commands_queued_max: usize,
    /// The payload of one event, in bytes; keep it below the topic's limit for a record.
    pub event_bytes_max: usize,
    /// Aggregates kept in memory between batches. What sagas in flight need beyond it is read from the store each time:
    /// a step then costs a quarter more (`bench/README.md`). Those that were used last stay, ended ones among them: where
    /// sagas come and end all the time, twice as many as are in flight. An order of the demo takes 0.8 kB.
    pub aggregates_cached_max: usize,
    /// A snapshot is written when a stream has this many events since the last one.
    pub snapshot_every_events: u32,
    /// Messages of one held key that are tried in one batch.
    pub retry_messages_max: usize,
    /// Keys that may be held back in one lane; beyond it the lane waits.
    pub held_keys_max: usize,
    /// Records in one transaction of the relay.
    pub relay_records_max: usize,
    /// Payloads in one transaction of the relay, in bytes. The record that goes beyond it is its last.
    pub relay_bytes_max: usize,
    /// Appends whose events wait in memory for the relay; beyond it the relay reads them from the store.
    pub relay_fresh_max: usize,
    /// How often an idle relay looks into the store for events of other instances.
    pub relay_poll_every: Duration,
    /// How long a relay shard's lease lasts without being renewed.
    pub lease_ttl: Duration,
    /// How often the agenda is looked at for deadlines and effects that are due.
    pub agenda_poll_every: Duration,
    /// How often an engine looks for what persons have ruled on dead letters.
    pub rulings_poll_every: Duration,
    /// Deadlines that are claimed at once.
    pub agenda_claim_max: usize,
    /// The first pause after the store or the log could not answer; it doubles up to the last.
    pub backoff_first: Duration,
    /// The longest such pause.
    pub backoff_last: Duration,
    /// Under full load, starts of appends are this far apart, so that batches grow; under less load,
    /// less; an idle engine never waits. It bounds what a message waits for the sake of others.
    pub pace_under_load: Duration,
    /// As above, for the relay's transactions.
    pub relay_pace_under_load: Duration,
    /// How long an event of a foreign producer is remembered by `source` and `id` (P4): a repetition
    /// within it does nothing. At least [`KEPT_MIN`].
    pub inbox_kept: Duration,
    /// How long a command's answer is kept under the id that its caller gave it (P17), and with it what
    /// each append is known by. At least [`KEPT_MIN`].
    pub answers_kept: Duration,
    /// How often the janitor looks for what is older than that.
    pub janitor_every: Duration,
    /// Rows that the janitor removes in one transaction.
    pub janitor_rows_max: usize,
    /// A floor is written after this many events of a lane, well before retention can empty it (P6).
    pub floor_every_events: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_works_max: 2_048,
            batch_bytes_max: 16 * 1024 * 1024,
            commands_queued_max: 4096,
            event_bytes_max: 512 * 1024,
            aggregates_cached_max: 20_000,
            snapshot_every_events: 200,
            retry_messages_max: 64,
            held_keys_max: 10_000,
            relay_records_max: 4_000,
            relay_bytes_max: 16 * 1024 * 1024,
            relay_fresh_max: 64,
            relay_poll_every: Duration::from_millis(100),
            lease_ttl: Duration::from_secs(10),
            agenda_poll_every: Duration::from_millis(250),
            rulings_poll_every: Duration::from_secs(1),
            agenda_claim_max: 256,
            backoff_first: Duration::from_millis(10),
            backoff_last: Duration::from_secs(5),
            pace_under_load: Duration::ZERO,
            relay_pace_under_load: Duration::ZERO,
            inbox_kept: Duration::from_secs(7 * 24 * 3600),
            answers_kept: Duration::from_secs(24 * 3600),
            janitor_every: Duration::from_secs(60),
            janitor_rows_max: 1_000,
            floor_every_events: 10_000,
        }
    }
}

/// Nothing that protects from doing a thing twice is forgotten sooner. A commit in doubt is looked up by
/// its cause for as long as the store does not answer: an instance stops asking, and drops what it has in
/// hand, after half of [`Limits::answers_kept`], so that it never takes "forgotten" for "not done".
pub const KEPT_MIN: Duration = Duration::from_secs(3600);

/// How a message is tried again after a failure that may pass (P12).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The pause after the first failure; it doubles with each further one.
    pub delay_first: Duration,
    /// The longest pause.
    pub delay_max: Duration,
    /// How many tries a message gets before it is dead.
    pub attempts_max: u32,
    /// How long after its first failure a message may still be tried.
    pub total_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            delay_first: Duration::from_millis(100),
            delay_max: Duration::from_secs(60),
            attempts_max: 12,
            total_max: Duration::from_secs(15 * 60),
        }
    }
}

impl RetryPolicy {
    /// The pause before the next try: exponential, between half and the whole of it, by `jitter`, a
    /// random number.
    #[must_use]
    pub fn delay(&self, attempts: u32, jitter: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        let whole = self.delay_first.saturating_mul(1 << doublings).min(self.delay_max);
        let half = whole / 2;
        let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        half + Duration::from_micros(jitter % span)
    }
}

/// Exponential pauses between calls to a port that does not answer.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { first: limits.backoff_first, last: limits.backoff_last, next: limits.backoff_first }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = self.next.saturating_mul(2).min(self.last);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_limit_and_keep_within_half_of_it() {
        let policy = RetryPolicy::default();
        for (attempts, whole_ms) in [(1, 100), (2, 200), (5, 1600), (30, 60_000)] {
            for jitter in [0, 1, 77_777, u64::MAX] {
                let delay = policy.delay(attempts, jitter);
                let whole = Duration::from_millis(whole_ms);
                assert!(delay >= whole / 2 && delay <= whole, "{attempts}: {delay:?}");
            }
        }
    }
}
