//! What an engine tells about itself: readiness, counters, and why it stands still.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::lanes::LaneBook;
use crate::{
    id::SourceLane,
    log::Contact,
    telemetry::{Tracer, metrics::Gauges},
};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// What an engine has counted since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Each with its name and what it counts.
            pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),*), self.$name),)*].into_iter()
            }
        }

        #[derive(Debug, Default)]
        pub(crate) struct LiveCounters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl LiveCounters {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Messages whose handlers' effects are committed.
    messages_applied,
    /// Messages of a type that this service does not consume.
    messages_skipped,
    /// Messages that had been applied before.
    messages_duplicate,
    /// Messages that were parked, each time.
    messages_parked,
    /// Messages that became dead.
    messages_dead,
    /// Handlers that panicked or broke a rule of the toolkit.
    handler_bugs,
    /// Deadlines that fired.
    deadlines_fired,
    /// Effects whose outcome was handled.
    effects_concluded,
    /// Tries of effects that had no outcome.
    effect_tries_failed,
    /// Commands that were answered.
    commands_answered,
    /// Causes, and answers of commands, that were forgotten for their age.
    causes_pruned,
    /// Events of foreign producers that were forgotten for their age.
    inbox_pruned,
    /// Appends that were committed.
    appends,
    /// Events that were committed.
    events_appended,
    /// Appends that met another writer and were decided again.
    conflicts,
    /// Handlers that ran again because what they had read had changed meanwhile.
    reruns,
    /// Transactions of the relay.
    relay_rounds,
    /// Events that the relay published.
    events_published,
    /// Transactions of the relay whose outcome was in doubt.
    relay_doubts,
    /// Times that the relay has aborted a transaction that hung.
    relay_hanging,
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

/// Whether an engine may append: not before its log and its store were compared (P8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The comparison is not done.
    Checking,
    /// They agree.
    Open,
    /// They contradict each other; a person decides.
    Halted(String),
}

/// Shared by the parts of one engine.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) counters: LiveCounters,
    pub(crate) gauges: Gauges,
    pub(crate) tracer: Tracer,
    gate: watch::Sender<Gate>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shards_checked: BTreeMap<u32, bool>,
    lanes_owned: usize,
    lanes_stopped: BTreeMap<SourceLane, String>,
    troubles: BTreeMap<&'static str, String>,
    /// To those who bring messages, while there is a subscription.
    contact: Option<Arc<dyn Contact>>,
    draining: bool,
}

/// Where an engine stands, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) halted: bool,
    pub(crate) draining: bool,
    pub(crate) lanes_owned: usize,
    pub(crate) lanes_stopped: usize,
}

/// Whether a service can do its work, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it can.
    pub ready: bool,
    /// Why not, one sentence each.
    pub reasons: Vec<String>,
}

impl Status {
    pub(crate) fn new(shards: u32, tracer: Tracer) -> Self {
        let shards_checked = (0..shards).map(|shard| (shard, false)).collect();
        Self {
            counters: LiveCounters::default(),
            gauges: Gauges::default(),
            tracer,
            gate: watch::Sender::new(Gate::Checking),
            inner: Mutex::new(Inner { shards_checked, ..Inner::default() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    /// A shard's tails agree with the store, or another instance holds the shard and has checked it.
    pub(crate) fn shard_checked(&self, shard: u32) {
        let mut inner = self.lock();
        inner.shards_checked.insert(shard, true);
        if inner.shards_checked.values().all(|checked| *checked) {
            self.gate.send_if_modified(|gate| {
                let opens = *gate == Gate::Checking;
                if opens {
                    *gate = Gate::Open;
                }
                opens
            });
        }
    }

    pub(crate) fn halt(&self, reason: String) {
        tracing::error!(%reason, "halted: log and store contradict each other");
        self.gate.send_replace(Gate::Halted(reason));
    }

    /// Which lanes are read, and which of their keys are held.
    pub(crate) fn lanes(&self, lanes: &LaneBook) {
        self.lock().lanes_owned = lanes.len();
        self.gauges.held(lanes.held_keys());
    }

    /// What there is to measure beside counters.
    pub(crate) fn standing(&self) -> Standing {
        let halted = matches!(&*self.gate.borrow(), Gate::Halted(_));
        let inner = self.lock();
        Standing {
            halted,
            draining: inner.draining,
            lanes_owned: inner.lanes_owned,
            lanes_stopped: inner.lanes_stopped.len(),
        }
    }

    pub(crate) fn lane_stopped(&self, source: &SourceLane, reason: String) {
        tracing::error!(lane = %source, %reason, "lane stopped");
        self.lock().lanes_stopped.insert(source.clone(), reason);
    }

    pub(crate) fn lane_released(&self, source: &SourceLane) {
        self.lock().lanes_stopped.remove(source);
    }

    /// Sets or clears what keeps a part of the engine from its work.
    pub(crate) fn trouble(&self, part: &'static str, trouble: Option<String>) {
        let mut inner = self.lock();
        match trouble {
            Some(text) => {
                if inner.troubles.insert(part, text.clone()).is_none() {
                    tracing::warn!(part, trouble = %text, "in trouble, trying again");
                }
            }
            None => {
                if inner.troubles.remove(part).is_some() {
                    tracing::info!(part, "recovered");
                }
            }
        }
    }

    /// Whom to ask whether the log still answers.
    pub(crate) fn contact(&self, contact: Option<Arc<dyn Contact>>) {
        self.lock().contact = contact;
    }

    pub(crate) fn drain(&self) {
        self.lock().draining = true;
    }

    pub(crate) fn stopped_lanes(&self) -> BTreeMap<SourceLane, String> {
        self.lock().lanes_stopped.clone()
    }

    pub(crate) fn health(&self) -> Health {
        let mut reasons = vec![];
        match &*self.gate.borrow() {
            Gate::Checking => reasons.push("comparing the log's tail with the store".to_owned()),
            Gate::Open => {}
            Gate::Halted(reason) => reasons.push(format!("halted: {reason}")),
        }
        let inner = self.lock();
        reasons.extend(
            inner.lanes_stopped.iter().map(|(lane, reason)| format!("{lane} stopped: {reason}")),
        );
        reasons.extend(inner.troubles.iter().map(|(part, text)| format!("{part}: {text}")));
        let silence = inner.contact.as_ref().and_then(|contact| contact.silence());
        reasons.extend(silence.map(|silence| format!("subscription: {silence}")));
        if inner.draining {
            reasons.push("draining: shutting down".to_owned());
        }
        Health { ready: reasons.is_empty(), reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Parentage, Traces};

    #[derive(Debug)]
    struct Says(Mutex<Option<String>>);

    impl Contact for Says {
        fn silence(&self) -> Option<String> {
            self.0.lock().unwrap().clone()
        }
    }

    #[test]
    fn a_log_that_hangs_is_a_reason_for_as_long_as_it_does() {
        let tracer = Tracer {
            traces: Traces::off(),
            parentage: Parentage::Parent,
            service: "order",
            group: Arc::from("shop.order"),
            topic: Arc::from("shop.order.events"),
        };
        let status = Status::new(1, tracer);
        status.shard_checked(0);
        let contact = Arc::new(Says(Mutex::new(None)));
        status.contact(Some(contact.clone()));
        assert!(status.health().ready);

        *contact.0.lock().unwrap() = Some("no broker has answered for 7 s".to_owned());
        let health = status.health();
        assert!(!health.ready);
        assert_eq!(health.reasons, ["subscription: no broker has answered for 7 s"]);

        *contact.0.lock().unwrap() = None;
        assert!(status.health().ready, "it answers again");
    }
}
