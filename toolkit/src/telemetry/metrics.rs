//! `/metrics`: what an engine counts, in Prometheus' text format.
//!
//! Everything is kept in atomics and read when it is asked for. No label names a saga, a key or an
//! instance: what Prometheus keeps is bounded by the number of services, states and buckets.

mod histogram;
mod text;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

pub(crate) use histogram::Histogram;
use text::Text;

use crate::{
    engine::status::Status,
    runtime::{Clock, Timestamp},
    store::LetterCounts,
};

/// What `Content-Type` says of the text.
#[cfg(feature = "http")]
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How far a relay's shard is behind its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lag {
    /// Events that are not known to be in the log.
    pub(crate) events: u64,
    /// When the oldest of them was decided.
    pub(crate) oldest: Option<Timestamp>,
}

/// Keys that are held back, by the state of their first message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldKeys {
    pub(crate) parked: usize,
    pub(crate) waiting: usize,
    pub(crate) dead: usize,
}

/// What is measured beside the counters.
#[derive(Debug)]
pub(crate) struct Gauges {
    /// From sealing a batch to its commit, retries included.
    pub(crate) append: Histogram,
    /// Events of one append.
    pub(crate) append_events: Histogram,
    /// One transaction of the relay.
    pub(crate) round: Histogram,
    shards: Mutex<BTreeMap<u32, Lag>>,
    letters: Mutex<Option<LetterCounts>>,
    parked: AtomicUsize,
    waiting: AtomicUsize,
    dead: AtomicUsize,
}

impl Default for Gauges {
    fn default() -> Self {
        Self {
            append: Histogram::of_seconds(),
            append_events: Histogram::of_numbers(),
            round: Histogram::of_seconds(),
            shards: Mutex::default(),
            letters: Mutex::default(),
            parked: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            dead: AtomicUsize::new(0),
        }
    }
}

impl Gauges {
    pub(crate) fn held(&self, held: HeldKeys) {
        self.parked.store(held.parked, Ordering::Relaxed);
        self.waiting.store(held.waiting, Ordering::Relaxed);
        self.dead.store(held.dead, Ordering::Relaxed);
    }

    /// How many letters are dead in the store; `None` when it does not say.
    pub(crate) fn letters(&self, counts: Option<LetterCounts>) {
        *self.letters.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// What is not known is not told: a 0 would end an alarm.
    fn write_letters(&self, text: &mut Text) {
        let Some(counts) = *self.letters.lock().unwrap_or_else(PoisonError::into_inner) else {
            return;
        };
        let name = "dead_letters";
        text.head(name, "gauge", "Letters in the store that wait for a person, by their kind");
        for (kind, count) in [
            ("message", counts.messages),
            ("deadline", counts.deadlines),
            ("effect", counts.effects),
        ] {
            text.sample(name, &[("kind", kind)], count);
        }
    }

    /// How far a shard is behind; `None` when this instance does not publish it.
    pub(crate) fn relay(&self, shard: u32, lag: Option<Lag>) {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        match lag {
            Some(lag) => drop(shards.insert(shard, lag)),
            None => drop(shards.remove(&shard)),
        }
    }

    fn write(&self, text: &mut Text, now: Timestamp) {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let oldest = shards.values().filter_map(|lag| lag.oldest).min();
        text.gauge("relay_shards", "Shards that this instance publishes", shards.len());
        text.gauge(
            "relay_lag_events",
            "Events in the store that are not known to be in the log, of the shards that this instance publishes",
            shards.values().map(|lag| lag.events).sum::<u64>(),
        );
        text.gauge(
            "relay_lag_seconds",
            "Age of the oldest event that is not known to be in the log",
            oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()),
        );
        let parked = self.parked.load(Ordering::Relaxed);
        text.gauge("parked_messages", "Messages that wait for their next try", parked);
        let name = "held_keys";
        text.head(name, "gauge", "Keys that are held back, by the state of their first message");
        for (state, held) in [
            ("parked", parked),
            ("waiting", self.waiting.load(Ordering::Relaxed)),
            ("dead", self.dead.load(Ordering::Relaxed)),
        ] {
            text.sample(name, &[("state", state)], held);
        }
        self.write_letters(text);
        self.append.write(text, "append_duration_seconds", "From a decided batch to its commit");
        self.append_events.write(text, "append_events", "Events of one append");
        self.round.write(text, "relay_round_duration_seconds", "One transaction of the relay");
    }
}

/// Everything that an engine measures.
pub(crate) fn text(status: &Status, clock: &dyn Clock) -> String {
    let service = status.tracer.service;
    let mut text = about(service, status.health().ready);
    let standing = status.standing();
    text.gauge("halted", "1 when log and store contradict each other", u8::from(standing.halted));
    text.gauge("draining", "1 while the service shuts down", u8::from(standing.draining));
    text.gauge("lanes_owned", "Lanes that this instance reads", standing.lanes_owned);
    text.gauge(
        "lanes_stopped",
        "Lanes that stand still until a person decides",
        standing.lanes_stopped,
    );
    for (name, what, count) in status.counters.read().each() {
        let name = match name {
            "messages_dead" => "dead_letters",
            "conflicts" => "append_conflicts",
            "reruns" => "handler_reruns",
            name => name,
        };
        text.counter(name, what.trim().trim_end_matches('.'), count);
    }
    status.gauges.write(&mut text, clock.now());
    let dropped = status.tracer.traces.sink().map_or(0, super::SpanSink::dropped);
    text.counter("spans_dropped", "Spans that the exporter could not take or send", dropped);
    text.done()
}

/// As long as there is no engine.
#[cfg(feature = "process")]
pub(crate) fn before_start(service: &'static str) -> String {
    about(service, false).done()
}

fn about(service: &'static str, ready: bool) -> Text {
    let mut text = Text::of(service);
    let name = "build_info";
    text.head(name, "gauge", "Always 1; the labels tell what runs");
    text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.gauge("ready", "1 when the service can do its work, as /readyz", u8::from(ready));
    text
}

#[cfg(test)]
mod tests;
