//! The engine's spans as the SDK's.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{
        Link, SpanContext as OtelContext, SpanId as OtelSpanId, SpanKind, Status, TraceFlags,
        TraceId as OtelTraceId, TraceState,
    },
};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanLinks},
};

use super::OtlpSettings;
use crate::{
    runtime::Timestamp,
    telemetry::{Kind, Span, SpanContext, Value},
};

/// The clock's smallest step.
const SPAN_MIN: Duration = Duration::from_micros(1);

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
});

/// What says whose spans these are. The environment goes before what the engine knows.
pub(super) fn resource(settings: &OtlpSettings, service: &str) -> Resource {
    // Among its detectors is the one that calls everything `unknown_service`: ours come after it, and
    // what the user has said after those.
    let ours = [("service.name", Some(service))]
        .into_iter()
        .chain([
            ("service.namespace", settings.namespace.as_deref()),
            ("service.instance.id", settings.instance.as_deref()),
        ])
        .filter_map(|(name, value)| Some(KeyValue::new(name, value?.to_owned())));
    let said = settings.resource.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone()));
    Resource::builder().with_attributes(ours).with_attributes(said).build()
}

pub(super) fn span_data(span: Span) -> SpanData {
    let state = span.trace_state.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut links = SpanLinks::default();
    links.links = span
        .links
        .into_iter()
        .map(|link| Link::new(context(link, true, TraceState::NONE), vec![], 0))
        .collect();
    links.dropped_count = span.links_dropped;
    SpanData {
        span_context: context(span.context, false, state),
        parent_span_id: span.parent.map_or(OtelSpanId::INVALID, |id| OtelSpanId::from(id.0)),
        parent_span_is_remote: matches!(span.kind, Kind::Server | Kind::Consumer),
        span_kind: match span.kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Consumer => SpanKind::Consumer,
        },
        name: span.name.into(),
        start_time: system_time(span.start),
        end_time: system_time(end(span.start, span.end)),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: SCOPE.clone(),
    }
}

fn context(context: SpanContext, remote: bool, state: TraceState) -> OtelContext {
    let flags = if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    OtelContext::new(
        OtelTraceId::from(context.trace.0),
        OtelSpanId::from(context.span.0),
        flags,
        remote,
        state,
    )
}

fn attribute((name, value): (&'static str, Value)) -> KeyValue {
    match value {
        Value::Text(text) => KeyValue::new(name, text),
        Value::Number(number) => KeyValue::new(name, number),
    }
}

/// A span takes a microsecond at least. The clock has no finer ones, and backends take a span without a
/// duration for a mistake: Jaeger calls it negative.
fn end(start: Timestamp, end: Timestamp) -> Timestamp {
    end.max(start.plus(SPAN_MIN))
}

fn system_time(time: Timestamp) -> SystemTime {
    let micros = u64::try_from(time.0).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
