//! Spans over several messages: `poll`, `commit` and `send`.
//!
//! Where all of a batch belongs to one trace, its span is a child in that trace. Otherwise it is a trace of
//! its own, and links to theirs.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Pending, Tracer, messaging, text_header};
use crate::{
    id::Lane,
    log::{Headers, LogRecord, NewRecord, record::name},
    runtime::{Clock, Timestamp},
    store::Append,
    telemetry::{Kind, Span, SpanContext, derive},
};

/// One message of a batch.
struct Part<'a> {
    context: SpanContext,
    lane: Lane,
    offset: Option<i64>,
    headers: &'a Headers,
}

/// What a batch's span is called.
struct Operation {
    name: &'static str,
    kind: &'static str,
}

const POLL: Operation = Operation { name: "poll", kind: "receive" };
const SEND: Operation = Operation { name: "send", kind: "send" };
const COMMIT: Operation = Operation { name: "commit", kind: "settle" };

impl Tracer {
    /// The batch is durable: its spans are told, and the requests hear of their traces.
    pub(crate) fn committed(&self, pending: Vec<Pending>, append: &Append, clock: &dyn Clock) {
        let mut contexts = vec![];
        for Pending { span, settles } in pending {
            if let Some((request, trace)) = settles {
                // The first command of a request decides.
                let _ = request.trace.set(trace);
            }
            if let Some(span) = span {
                contexts.push(span.context);
                self.export(span);
            }
        }
        if let Some(span) = self.commit(&contexts, append, clock.now()) {
            self.export(span);
        }
    }

    fn commit(&self, contexts: &[SpanContext], append: &Append, now: Timestamp) -> Option<Span> {
        let mut topics: Vec<&str> = append.positions.iter().map(|p| &*p.source.topic).collect();
        topics.dedup();
        let topic = (topics.len() == 1).then(|| topics[0]);
        let kind = if topics.is_empty() { Kind::Internal } else { Kind::Client };
        let mut span = self.over(&COMMIT, topic, kind, contexts, append.at)?;
        if !topics.is_empty() {
            messaging(&mut span, COMMIT.name, COMMIT.kind, topic);
            span.text("messaging.consumer.group.name", &self.group);
            count(&mut span, contexts.len());
        }
        span.number("quadrille.append.events", append.events.len());
        span.end = now;
        Some(span)
    }

    /// Records have come: a `poll` span for each topic.
    pub(crate) fn polled(&self, records: &[LogRecord], clock: &dyn Clock) {
        if self.traces.sink().is_none() {
            return;
        }
        let now = clock.now();
        let mut by_topic: BTreeMap<&str, Vec<Part<'_>>> = BTreeMap::new();
        for record in records {
            let Some(context) = creation(&record.headers) else { continue };
            by_topic.entry(&record.source.topic).or_default().push(Part {
                context,
                lane: record.source.lane,
                offset: Some(record.offset),
                headers: &record.headers,
            });
        }
        for (topic, parts) in by_topic {
            if let Some(mut span) = self.of_parts(&POLL, topic, &parts, now) {
                span.text("messaging.consumer.group.name", &self.group);
                self.export(span);
            }
        }
    }

    /// The relay is about to publish: its `send` span, begun.
    pub(crate) fn sending(
        &self,
        round: &[NewRecord],
        transactional_id: &str,
        clock: &dyn Clock,
    ) -> Option<Span> {
        self.traces.sink()?;
        let parts: Vec<Part<'_>> = round
            .iter()
            .filter_map(|record| {
                let (lane, headers) = (record.lane, &record.headers);
                creation(headers).map(|context| Part { context, lane, offset: None, headers })
            })
            .collect();
        let mut span = self.of_parts(&SEND, &self.topic, &parts, clock.now())?;
        span.text("messaging.client.id", transactional_id);
        Some(span)
    }

    /// How it went.
    pub(crate) fn sent(&self, begun: Option<Span>, error: Option<&str>, clock: &dyn Clock) {
        let Some(mut span) = begun else { return };
        span.end = clock.now();
        if let Some(error) = error {
            span.text("error.type", "doubt");
            span.error = Some(error.to_owned());
        }
        self.export(span);
    }

    fn of_parts(
        &self,
        operation: &Operation,
        topic: &str,
        parts: &[Part<'_>],
        start: Timestamp,
    ) -> Option<Span> {
        let contexts: Vec<SpanContext> =
            parts.iter().map(|part| part.context).filter(|context| context.sampled).collect();
        let mut span = self.over(operation, Some(topic), Kind::Client, &contexts, start)?;
        messaging(&mut span, operation.name, operation.kind, Some(topic));
        let first = parts.first()?;
        if parts.iter().all(|part| part.lane == first.lane) {
            span.text("messaging.destination.partition.id", first.lane);
        }
        if let [only] = parts {
            for (attribute, header) in [
                ("messaging.message.id", name::ID),
                ("messaging.message.conversation_id", name::CORRELATION_ID),
                ("messaging.kafka.message.key", name::SUBJECT),
                ("cloudevents.event_type", name::TYPE),
            ] {
                if let Some(value) = text_header(only.headers, header) {
                    span.text(attribute, value);
                }
            }
            if let Some(offset) = only.offset {
                span.number("messaging.kafka.offset", offset);
            }
        }
        count(&mut span, parts.len());
        Some(span)
    }

    /// A span over these; `None` when it is not recorded.
    fn over(
        &self,
        operation: &Operation,
        topic: Option<&str>,
        kind: Kind,
        contexts: &[SpanContext],
        start: Timestamp,
    ) -> Option<Span> {
        let sink = self.traces.sink()?;
        let first = *contexts.first()?;
        let seed = Uuid::from_u128(first.trace.0 ^ u128::from(first.span.0));
        let place = format!("{} {}", operation.name, self.service);
        let one_trace = contexts.iter().all(|context| context.trace == first.trace);
        let trace = if one_trace { first.trace } else { derive::trace(seed, &place) };
        if !sink.samples(one_trace.then_some(first), trace) {
            return None;
        }
        let moment = u64::try_from(start.0).unwrap_or(0);
        let id = derive::span(seed, &place, moment);
        let context = SpanContext { trace, span: id, sampled: true };
        let called = topic.map_or_else(
            || operation.name.to_owned(),
            |topic| format!("{} {topic}", operation.name),
        );
        let mut span = Span::new(called, kind, context, start);
        span.parent = one_trace.then_some(first.span);
        // Events of one turn share their context, and a link to the parent would say what the parent says:
        // Jaeger shows one of the two, and takes the link.
        let mut linked = contexts.to_vec();
        linked.dedup();
        linked.retain(|context| !(one_trace && context.span == first.span));
        span.link(linked);
        Some(span)
    }
}

fn creation(headers: &Headers) -> Option<SpanContext> {
    text_header(headers, name::TRACE_PARENT).and_then(SpanContext::parse)
}

/// How many messages there are, where it is not one.
fn count(span: &mut Span, messages: usize) {
    if messages != 1 {
        span.number("messaging.batch.message_count", messages);
    }
}
