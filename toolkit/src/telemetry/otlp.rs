//! Spans to an OpenTelemetry collector: OTLP over HTTP, as protobuf (feature `otel`).
//!
//! Set up from the usual variables ([`OtlpSettings::from_variables`]); without an endpoint there are no
//! spans. The SDK's exporter and data types are used, its tracer and its ids are not: the engine makes
//! these. Spans wait in a bounded queue, and leave in batches; what does not fit or cannot be sent is
//! dropped and counted, and nobody waits for it.

mod convert;
mod sending;
mod settings;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SpanExporter as _;
use sending::Sending;
pub use settings::{OtlpSettings, OtlpSettingsError};
use tokio::sync::{mpsc, oneshot};

use super::{Sampler, Span, SpanContext, SpanSink, TraceId};

/// Takes the engine's spans, and sends them from a task of its own.
#[derive(Debug)]
pub struct OtlpTraces {
    queue: mpsc::Sender<Span>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    sampler: Sampler,
    dropped: Arc<AtomicU64>,
}

impl OtlpTraces {
    /// Starts the task that sends; inside a tokio runtime. The collector need not answer yet.
    ///
    /// # Errors
    /// What the SDK finds wrong with its variables.
    pub fn start(settings: &OtlpSettings, service: &str) -> Result<Arc<Self>, OtlpSettingsError> {
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            .build()
            .map_err(|error| OtlpSettingsError(vec![error.to_string()]))?;
        exporter.set_resource(&convert::resource(settings, service));
        let (queue, waiting) = mpsc::channel(settings.queue_spans_max.max(1));
        let (flushes, asked) = mpsc::channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let sending = Sending {
            exporter,
            waiting,
            asked,
            dropped: dropped.clone(),
            delay: settings.delay,
            batch_spans_max: settings.batch_spans_max.max(1),
            failing: false,
        };
        drop(tokio::spawn(sending.run()));
        Ok(Arc::new(Self { queue, flushes, sampler: settings.sampler, dropped }))
    }

    /// Resolves when every span that was taken before has been sent, or could not be.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            let _ = flushed.await.is_ok();
        }
    }
}

impl SpanSink for OtlpTraces {
    fn samples(&self, parent: Option<SpanContext>, trace: TraceId) -> bool {
        self.sampler.samples(parent, trace)
    }

    fn export(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
