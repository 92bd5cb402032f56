//! The task that sends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::convert::span_data;
use crate::telemetry::Span;

pub(super) struct Sending {
    pub(super) exporter: SpanExporter,
    pub(super) waiting: mpsc::Receiver<Span>,
    pub(super) asked: mpsc::Receiver<oneshot::Sender<()>>,
    pub(super) dropped: Arc<AtomicU64>,
    /// How long a span waits for others at most.
    pub(super) delay: Duration,
    pub(super) batch_spans_max: usize,
    /// Whether the last batch could not be sent: said once, not for every batch.
    pub(super) failing: bool,
}

impl Sending {
    /// Until nobody can hand it a span any more.
    pub(super) async fn run(mut self) {
        let mut batch = vec![];
        let mut due = Instant::now();
        loop {
            let room = self.batch_spans_max - batch.len();
            let was_empty = batch.is_empty();
            tokio::select! {
                biased;
                taken = self.waiting.recv_many(&mut batch, room) => {
                    if taken == 0 {
                        return self.send(&mut batch).await;
                    }
                    if was_empty {
                        due = Instant::now() + self.delay;
                    }
                    if batch.len() >= self.batch_spans_max {
                        self.send(&mut batch).await;
                    }
                }
                Some(done) = self.asked.recv() => {
                    self.flush(&mut batch).await;
                    // Whoever asked may have lost patience.
                    let _ = done.send(());
                }
                () = tokio::time::sleep_until(due), if !was_empty => self.send(&mut batch).await,
            }
        }
    }

    /// Sends what was there when it was asked for.
    async fn flush(&mut self, batch: &mut Vec<Span>) {
        let mut left = self.waiting.len();
        while left > 0 {
            let Ok(span) = self.waiting.try_recv() else { break };
            left -= 1;
            batch.push(span);
            if batch.len() >= self.batch_spans_max {
                self.send(batch).await;
            }
        }
        self.send(batch).await;
    }

    async fn send(&mut self, batch: &mut Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.drain(..).map(span_data).collect::<Vec<_>>();
        let count = spans.len();
        let error = self.exporter.export(spans).await.err();
        match &error {
            Some(error) => {
                self.dropped.fetch_add(count as u64, Ordering::Relaxed);
                if !self.failing {
                    tracing::warn!(%error, spans = count, "spans could not be exported and are dropped");
                }
            }
            None if self.failing => tracing::info!("spans are exported again"),
            None => {}
        }
        self.failing = error.is_some();
    }
}
