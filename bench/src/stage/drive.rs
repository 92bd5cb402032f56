//! Places orders: as many as go through, or so many a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::ends::Ends;
use crate::{context::Context, meter::Run, sample::percentile};

/// Orders that are begun and not ended, when as many as go through are placed. A smoke run is
/// made of a slow build as well, where so many would go through the services as one long wave.
const IN_FLIGHT: u64 = 6_000;
const IN_FLIGHT_QUICK: u64 = 500;
/// Commands that are under way at the same time.
const COMMANDS_AT_ONCE: usize = 2_000;
/// From the last order to its end.
const QUIET_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Places orders and sees them end.
pub(crate) struct Driver {
    ends: Arc<Ends>,
    stop: AtomicBool,
}

/// What of a run counts.
#[derive(Clone, Copy)]
struct Span {
    warm_up: Duration,
    /// The least time.
    time: Duration,
    /// The fewest orders that end in it.
    at_least: u64,
}

/// How long sagas took, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latencies {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Driver {
    pub(crate) fn new(ends: Arc<Ends>) -> Self {
        Self { ends, stop: AtomicBool::new(false) }
    }

    /// As many sagas as go through: those that end within the time, after some warm-up. Orders
    /// move in waves, a batch of each service at a time; so the time goes on until at least as
    /// many have ended as are in flight at once.
    pub(crate) async fn saturate(
        &self,
        context: &Context,
        place: impl AsyncFn(u64) -> Result<()>,
        warm_up: Duration,
        time: Duration,
    ) -> Result<Run> {
        let in_flight = context.size(IN_FLIGHT_QUICK, IN_FLIGHT);
        let room = || self.ends.begun() - self.ends.ended() < in_flight;
        self.run(context, place, room, Span { warm_up, time, at_least: in_flight }).await
    }

    /// So many a second; how long they took from the moment at which they were due.
    pub(crate) async fn at_rate(
        &self,
        context: &Context,
        place: impl AsyncFn(u64) -> Result<()>,
        rate: f64,
        warm_up: Duration,
        time: Duration,
    ) -> Result<Latencies> {
        let (started, first) = (Instant::now(), self.ends.begun());
        let due = || ((self.ends.begun() - first) as f64) < started.elapsed().as_secs_f64() * rate;
        self.run(context, place, due, Span { warm_up, time, at_least: 1 }).await?;
        let mut latencies = self.ends.take_latencies();
        let wanted = rate * time.as_secs_f64();
        ensure!(
            latencies.len() as f64 > wanted * 0.5,
            "of {wanted:.0} orders only {} were placed and ended: {rate:.0}/s is too much here",
            latencies.len()
        );
        let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
        let (Some(p50), Some(p99)) = (p50, p99) else { bail!("nothing ended") };
        Ok(Latencies { p50, p99 })
    }

    async fn run(
        &self,
        context: &Context,
        place: impl AsyncFn(u64) -> Result<()>,
        may_begin: impl Fn() -> bool,
        span: Span,
    ) -> Result<Run> {
        self.stop.store(false, Ordering::Relaxed);
        let timing = async {
            // A group's first assignment takes its time.
            self.until_ended(self.ends.ended() + 1).await;
            tokio::time::sleep(span.warm_up).await;
            self.ends.note_latencies();
            let (meter, before) = (context.meter(), self.ends.ended());
            tokio::time::sleep(span.time).await;
            self.until_ended(before + span.at_least).await;
            let run = meter.stop(self.ends.ended() - before);
            self.stop.store(true, Ordering::Relaxed);
            run
        };
        let (run, placed) = tokio::join!(timing, self.feed(place, may_begin));
        placed?;
        self.until_quiet().await?;
        ensure!(
            run.items >= span.at_least,
            "only {} orders ended in {:?}, and {} make a figure",
            run.items,
            run.wall,
            span.at_least
        );
        Ok(run)
    }

    /// Until so many orders have ended in all, or it is clear that they will not.
    async fn until_ended(&self, count: u64) {
        let deadline = Instant::now() + QUIET_LIMIT;
        while self.ends.ended() < count && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn feed(
        &self,
        place: impl AsyncFn(u64) -> Result<()>,
        may_begin: impl Fn() -> bool,
    ) -> Result<()> {
        let mut placing = FuturesUnordered::new();
        loop {
            let go_on = !self.stop.load(Ordering::Relaxed);
            while go_on && placing.len() < COMMANDS_AT_ONCE && may_begin() {
                placing.push(place(self.ends.begin()));
            }
            if !go_on && placing.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(placed) = placing.next() => placed?,
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.ends.changed(), if placing.is_empty() => {}
            }
        }
    }

    async fn until_quiet(&self) -> Result<()> {
        // Nothing is begun any more.
        self.until_ended(self.ends.begun()).await;
        let (ended, begun) = (self.ends.ended(), self.ends.begun());
        ensure!(ended == begun, "{ended} of {begun} orders ended within {QUIET_LIMIT:?}");
        Ok(())
    }
}
