//! The relay: publishes the store's lanes to the log, in order, through a fenced transactional producer.
//!
//! One task a shard. Its position is the log's own tail (P6); after every doubt it starts over with a
//! new epoch (P7); what contradicts the store halts the service (P8); a lease says whose turn it is, and
//! the epoch keeps two from writing (P9).

mod comparison;
mod fan;
mod plan;
mod rounds;

use std::{fmt, sync::Arc, time::Duration};

/// What the relay decides without any I/O.
#[cfg(any(test, feature = "testing"))]
pub(crate) mod pure {
    pub(crate) use super::{
        plan::{Start, Tail, judge},
        rounds::{Most, Offered, Place, Rounds},
    };
}

pub(crate) use fan::{Fan, shard_of};
pub(crate) use rounds::Offered;
use rounds::{Most, Parted, Rounds};
use tokio::sync::{mpsc, watch};

use super::{
    limits::{Backoff, Limits},
    pace::Pace,
    signal::raised,
    status::{Status, add},
};
use crate::{
    id::Lane,
    log::{Doubt, EventLog, LogError, Publisher, record},
    mutant::{Mutant, broken},
    runtime::{BoxFuture, Runtime, Timestamp},
    store::{EventStore, Registration},
};

/// Events that are read from the store at once, of one lane.
const REFILL_EVENTS_MAX: usize = 1_000;

/// What a relay shard is made of.
pub(crate) struct Relay {
    pub(crate) shard: u32,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) topic: Arc<str>,
    pub(crate) identity: record::ServiceIdentity,
    /// With the shards that this instance was started with.
    pub(crate) registration: Registration,
    pub(crate) transactional_id: String,
    pub(crate) holder: String,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) status: Arc<Status>,
    pub(crate) fresh: mpsc::Receiver<Vec<Offered>>,
    /// Raised when the intake has drained: publish what is there, and end.
    pub(crate) flush: watch::Receiver<bool>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay {}", self.transactional_id)
    }
}

/// Why a tenure ended.
#[derive(Debug)]
enum End {
    /// Everything is published, and the service shuts down.
    Flushed,
    /// Log and store contradict each other.
    Halted(String),
    /// Another instance has the lease.
    LostLease,
    /// Start over with a new epoch (P7).
    Doubt(String),
    /// A port does not answer.
    Trouble(String),
    /// A lane's tail cannot be told: a transaction is open there.
    Open(String),
}

/// The last commit, and how long the log had better rest after it.
struct Committed {
    at: Timestamp,
    rest: Duration,
}

impl Committed {
    /// What is left of the rest: never more than all of it, also when the clock was set back.
    fn rest(&self, now: Timestamp) -> Duration {
        self.rest.saturating_sub(now.since(self.at))
    }
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(_) => Self::LostLease,
            error => Self::Trouble(error.to_string()),
        }
    }
}

impl From<Doubt> for End {
    fn from(doubt: Doubt) -> Self {
        match doubt.fenced {
            // A later owner of the id. Ask for the lease before taking the epoch back from it.
            true => Self::LostLease,
            false => Self::Doubt(doubt.reason),
        }
    }
}

impl From<crate::store::StoreError> for End {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Trouble(error.to_string())
    }
}

impl From<Parted> for End {
    fn from(parted: Parted) -> Self {
        Self::Doubt(parted.to_string())
    }
}

impl Relay {
    /// Runs until everything is published after shutdown, or until the service halts.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(&self.limits);
        loop {
            let end = self.tenure(&mut backoff).await;
            let part = "relay";
            match end {
                End::Flushed => break,
                End::Halted(reason) => {
                    self.status.halt(reason);
                    break;
                }
                End::LostLease => {
                    // The holder has compared the tails.
                    self.status.shard_checked(self.shard);
                    self.status.trouble(part, None);
                    if *self.flush.borrow() {
                        break;
                    }
                    self.pause(self.limits.lease_ttl / 4).await;
                }
                End::Doubt(reason) => {
                    add(&self.status.counters.relay_doubts, 1);
                    tracing::warn!(id = %self.transactional_id, %reason, "transaction in doubt: starting over with a new epoch");
                    self.pause(backoff.pause()).await;
                }
                End::Trouble(reason) | End::Open(reason) => {
                    self.status.trouble(part, Some(reason));
                    self.pause(backoff.pause()).await;
                }
            }
        }
        if let Err(error) = self.store.release(&self.lease_name(), &self.holder).await {
            tracing::debug!(%error, "the lease will expire by itself");
        }
    }

    fn lease_name(&self) -> String {
        format!("relay/{}", self.shard)
    }

    /// Shutting down cuts one pause short, not all: a log that does not answer is not asked in a spin.
    async fn pause(&mut self, pause: Duration) {
        let sleep = self.runtime.clock.sleep(pause);
        if *self.flush.borrow() {
            return sleep.await;
        }
        let mut flush = self.flush.clone();
        tokio::select! {
            biased;
            () = raised(&mut flush) => {}
            () = sleep => {}
        }
    }

    async fn renew(&self) -> Result<Timestamp, End> {
        let asked = self.runtime.clock.now();
        match self.store.lease(&self.lease_name(), &self.holder, self.limits.lease_ttl).await? {
            Some(_) => Ok(asked),
            None if broken(Mutant::LeaseUnchecked) => Ok(asked),
            None => Err(End::LostLease),
        }
    }

    /// P9: a lane that belongs to another shard by now is not ours to publish.
    async fn check_shards(&self) -> Result<(), End> {
        let ours = self.registration.shards;
        let stored = self.store.register(&self.registration).await?;
        if (stored.shards == ours && !stored.closed) || broken(Mutant::ShardsUnchecked) {
            return Ok(());
        }
        self.store.release(&self.lease_name(), &self.holder).await?;
        if stored.closed {
            return Err(End::Trouble(
                "the lanes are being spread over another number of shards: whoever does it has not ended, and if it \
                 never will, the next instance to start does it anew"
                    .to_owned(),
            ));
        }
        let stored = stored.shards;
        Err(End::Trouble(format!(
            "the lanes are spread over {stored} shards now, and this instance was started with {ours}: start it anew"
        )))
    }

    /// One tenure: lease, epoch, comparison, and then rounds until something ends it.
    async fn tenure(&mut self, backoff: &mut Backoff) -> End {
        let end = match self.serve(backoff).await {
            Ok(end) | Err(end) => end,
        };
        if matches!(end, End::LostLease | End::Flushed) {
            self.status.gauges.relay(self.shard, None);
        }
        end
    }

    async fn serve(&mut self, backoff: &mut Backoff) -> Result<End, End> {
        self.check_shards().await?;
        let mut leased = self.renew().await?;
        let mut publisher = self.log.publisher(&self.transactional_id, &self.topic).await?;
        // Once more: whoever changes the shards fences every id after it has said so.
        self.check_shards().await?;
        let compared = match self.compare().await {
            Err(End::Open(_)) if !broken(Mutant::HangingLeft) => {
                self.abort_hanging(publisher).await?;
                publisher = self.log.publisher(&self.transactional_id, &self.topic).await?;
                self.compare().await.map_err(|end| self.anothers(end))?
            }
            compared => compared?,
        };
        let mut rounds = match compared {
            Ok(rounds) => rounds,
            Err(reason) => return Ok(End::Halted(reason)),
        };
        self.status.shard_checked(self.shard);
        self.status.trouble("relay", None);
        // A lease is renewed between rounds.
        let longest = self.limits.relay_pace_under_load.min(self.limits.lease_ttl / 3);
        let mut pace = Pace::new(longest);
        let mut compared = self.runtime.clock.now();
        let mut committed = Committed { at: compared, rest: Duration::ZERO };
        loop {
            if self.runtime.clock.now().since(leased) > self.limits.lease_ttl / 3 {
                leased = self.renew().await?;
                // A quiet lane's floor must not wait for its next events: retention does not.
                let quiet = rounds.quiet_without_floor();
                self.write_floors(&mut rounds, quiet).await?;
            }
            // A full round was made while the last one was on its way, and goes at once: what the store has beyond it is
            // read while it is on its own.
            if !rounds.is_full(self.most()) {
                self.prepare(&mut rounds).await?;
            }
            if rounds.prepared() == 0 {
                backoff.reset();
                if *self.flush.borrow() {
                    self.look(&mut rounds).await?;
                    if rounds.is_level() {
                        let lanes = rounds.without_floor();
                        self.write_floors(&mut rounds, lanes).await?;
                        return Ok(End::Flushed);
                    }
                    // The store has said that there is more, and will have it in a moment.
                    self.runtime.clock.sleep(self.limits.backoff_first).await;
                    continue;
                }
                self.wait(&mut rounds).await?;
                let now = self.runtime.clock.now();
                if now.since(compared) > self.limits.lease_ttl / 3 && rounds.is_level() {
                    self.look_back(&mut rounds).await?;
                    compared = now;
                }
                continue;
            }
            self.keep_pace(&mut rounds, &pace, &committed).await;
            rounds.whole()?;
            pace.started(self.runtime.clock.now(), rounds.prepared());
            publisher = self.publish(publisher, &mut rounds).await?;
            committed = Committed { at: self.runtime.clock.now(), rest: publisher.rest() };
            backoff.reset();
            rounds.published();
            let lane = rounds.far_from_floor(self.limits.floor_every_events);
            self.write_floors(&mut rounds, lane).await?;
        }
    }

    /// Makes the next round of what is in memory, and of what only the store has.
    async fn prepare(&mut self, rounds: &mut Rounds) -> Result<(), End> {
        while let Ok(events) = self.fresh.try_recv() {
            rounds.offer(events);
        }
        rounds.refill(&*self.store, self.limits.relay_records_max.min(REFILL_EVENTS_MAX)).await?;
        rounds.whole()?;
        self.status.gauges.relay(self.shard, Some(rounds.lag()));
        rounds.prepare(&self.identity, self.most());
        Ok(())
    }

    /// What one transaction may hold.
    fn most(&self) -> Most {
        Most { records: self.limits.relay_records_max, bytes: self.limits.relay_bytes_max }
    }

    /// Under load, rounds start some time apart, so that they grow, and let the log rest after the last commit.
    /// One that is full goes at once: a pause cannot make it larger, and a rest each time costs more than the
    /// log's own wait, which comes rarely. The last one rests and no more.
    async fn keep_pace(&mut self, rounds: &mut Rounds, pace: &Pace, last_commit: &Committed) {
        let most = self.most();
        let mut flush = self.flush.clone();
        let mut last = *flush.borrow();
        loop {
            let full = rounds.is_full(most);
            let now = self.runtime.clock.now();
            let paced = if full || last { None } else { pace.pause(now) };
            let rest = if full { Duration::ZERO } else { last_commit.rest(now) };
            let Some(pause) = paced.max((!rest.is_zero()).then_some(rest)) else { return };
            tokio::select! {
                biased;
                () = raised(&mut flush), if !last => last = true,
                Some(events) = self.fresh.recv(), if !full => {
                    rounds.offer(events);
                    rounds.prepare(&self.identity, most);
                }
                () = self.runtime.clock.sleep(pause) => return,
            }
        }
    }

    /// Publishes the round that is prepared, and prepares the next one meanwhile.
    async fn publish(
        &mut self,
        publisher: Box<dyn Publisher>,
        rounds: &mut Rounds,
    ) -> Result<Box<dyn Publisher>, End> {
        let round = rounds.take();
        let count = round.len();
        let (status, clock) = (self.status.clone(), self.runtime.clock.clone());
        let tracer = &status.tracer;
        let began = clock.now();
        let span = tracer.sending(&round, &self.transactional_id, &*clock);
        let mut publishing = publisher.publish(round);
        let (outcome, prepared) = {
            let preparing = self.prepare(rounds);
            // The transaction first: it is on its way while the next one is made.
            tokio::pin!(preparing);
            let mut outcome = None;
            loop {
                tokio::select! {
                    biased;
                    published = &mut publishing, if outcome.is_none() => outcome = Some(published),
                    prepared = &mut preparing => break (outcome, prepared),
                }
            }
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => self.top_up(rounds, publishing).await,
        };
        tracer.sent(span, outcome.as_ref().err().map(|doubt| &*doubt.reason), &*clock);
        match outcome {
            Ok(publisher) => {
                self.status.gauges.round.observe_time(clock.now().since(began));
                add(&self.status.counters.relay_rounds, 1);
                add(&self.status.counters.events_published, count);
                prepared.map(|()| publisher)
            }
            Err(doubt) if !doubt.fenced && broken(Mutant::DoubtIsSuccess) => {
                Ok(self.log.publisher(&self.transactional_id, &self.topic).await?)
            }
            Err(doubt) => Err(doubt.into()),
        }
    }

    /// Adds what becomes durable while a round is under way to the next one, as far as it has room.
    async fn top_up<T>(&mut self, rounds: &mut Rounds, mut publishing: BoxFuture<'_, T>) -> T {
        let most = self.most();
        loop {
            tokio::select! {
                biased;
                outcome = &mut publishing => return outcome,
                Some(events) = self.fresh.recv(), if !rounds.is_full(most) => {
                    rounds.offer(events);
                    rounds.prepare(&self.identity, most);
                }
            }
        }
    }

    /// Waits for fresh events, or for the moment to look for those of other instances.
    async fn wait(&mut self, rounds: &mut Rounds) -> Result<(), End> {
        let sleep = self.runtime.clock.sleep(self.limits.relay_poll_every);
        let mut flush = self.flush.clone();
        tokio::select! {
            biased;
            Some(events) = self.fresh.recv() => {
                rounds.offer(events);
                return Ok(());
            }
            () = raised(&mut flush) => {}
            () = sleep => {}
        }
        self.look(rounds).await
    }

    /// Asks the store how far it has come. One that ends before what is published has lost events: the
    /// next comparison says so (P8).
    async fn look(&self, rounds: &mut Rounds) -> Result<(), End> {
        if rounds.look(&*self.store).await? {
            Ok(())
        } else {
            Err(End::Doubt("the store ends before what was published".to_owned()))
        }
    }

    /// A log that loses its tail while nothing is published tells nobody, nor does a store: a quiet relay looks
    /// whether what it published is still in both, and else starts over from the tail (P6, P8). A partition
    /// that retention has emptied has nothing to tell.
    async fn look_back(&self, rounds: &mut Rounds) -> Result<(), End> {
        rounds.look_back(&*self.store).await?;
        rounds.whole()?;
        for lane in &self.lanes {
            let tail = self.tail(*lane).await?;
            let there = match &tail.last {
                Some((seq, _)) => *seq == rounds.position(*lane),
                None => rounds.position(*lane) == 0 || tail.start_offset > 0,
            };
            if !there {
                return Err(End::Doubt(format!("{lane:?}: the log does not end where it did")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_over_in_its_time_and_no_longer_where_the_clock_is_set_back() {
        let (at, rest) = (Timestamp(3_600_000_000), Duration::from_millis(3));
        let committed = Committed { at, rest };
        assert_eq!(committed.rest(at), rest);
        assert_eq!(committed.rest(at.plus(Duration::from_millis(2))), Duration::from_millis(1));
        assert_eq!(committed.rest(at.plus(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(committed.rest(Timestamp::default()), rest);
    }
}
