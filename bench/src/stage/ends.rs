//! Which orders have begun and which have ended, and how long they took.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::sync::Notify;

use super::orders::order_number;

/// Every order of a run.
#[derive(Debug)]
pub(crate) struct Ends {
    base: Instant,
    begun: AtomicU64,
    ended: AtomicU64,
    /// Ends that are not the good one.
    bad: AtomicU64,
    /// Millis since `base`, by the order's number; while latencies are wanted.
    started: Mutex<Option<Vec<f64>>>,
    latencies: Mutex<Vec<f64>>,
    changed: Notify,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            started: Mutex::new(None),
            latencies: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl Ends {
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether every order that was begun has had the good end.
    pub(crate) fn all_ended(&self) -> bool {
        self.begun() == self.ended() && self.bad.load(Ordering::Relaxed) == 0
    }

    /// Begins the next order, and gives its number.
    pub(crate) fn begin(&self) -> u64 {
        let n = self.begun.fetch_add(1, Ordering::Relaxed);
        if let Some(started) = &mut *self.started.lock().unwrap_or_else(PoisonError::into_inner) {
            started.resize(place(n) + 1, f64::NAN);
            started[place(n)] = self.now();
        }
        n
    }

    fn now(&self) -> f64 {
        self.base.elapsed().as_secs_f64() * 1e3
    }

    /// From now on it is noted when orders begin and end.
    pub(crate) fn note_latencies(&self) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(vec![]);
    }

    /// Milliseconds of all orders that were noted and have ended.
    pub(crate) fn take_latencies(&self) -> Vec<f64> {
        std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An event of this type is durable in the order's store.
    pub(crate) fn durable(&self, event_type: &str, stream: &str) {
        match event_type {
            "ORDER_CONCLUDED" => self.conclude(stream),
            "ORDER_FAILED" | "ORDER_CANCELLED" => drop(self.bad.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn conclude(&self, stream: &str) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        if let Some(started) = &*self.started.lock().unwrap_or_else(PoisonError::into_inner) {
            let began = order_number(stream).and_then(|n| started.get(place(n)));
            let latency = began.map(|began| self.now() - began).filter(|it| it.is_finite());
            let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.extend(latency);
        }
        self.changed.notify_one();
    }

    /// Resolves when an order has ended since the last time.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn place(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_good_ends_count_and_only_noted_orders_have_a_latency() {
        let ends = Ends::default();
        assert_eq!(ends.begin(), 0);
        ends.note_latencies();
        assert_eq!(ends.begin(), 1);
        ends.durable("ORDER_CREATED", "order/o-0");
        ends.durable("ORDER_CONCLUDED", "order/o-0");
        assert!(!ends.all_ended());
        ends.durable("ORDER_CONCLUDED", "order/o-1");
        assert!(ends.all_ended());
        assert_eq!(ends.take_latencies().len(), 1);
        ends.begin();
        ends.durable("ORDER_FAILED", "order/o-2");
        assert!(!ends.all_ended());
    }
}
