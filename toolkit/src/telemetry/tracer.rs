//! The spans of an engine: what each is called, whose child it is, and what an event carries on from it.

mod agenda;
mod batch;
#[cfg(feature = "http")]
mod request;

use std::sync::Arc;

#[cfg(feature = "http")]
pub(crate) use request::Answered;

use super::{Kind, Parentage, Request, Span, SpanContext, TraceId, Traces, carried::Parts, derive};
use crate::{
    error::{FailureKind, HandlerError},
    id::{SagaId, StreamId},
    log::record::{self, Message, name},
    runtime::Timestamp,
};

/// What one engine needs to make spans. It makes none without a sink.
#[derive(Debug)]
pub(crate) struct Tracer {
    pub(crate) traces: Traces,
    pub(crate) parentage: Parentage,
    pub(crate) service: &'static str,
    /// The consumer group.
    pub(crate) group: Arc<str>,
    /// The service's own topic.
    pub(crate) topic: Arc<str>,
}

/// A turn's place in its trace.
#[derive(Debug)]
pub(crate) struct Hop {
    /// What is stored with the turn's events.
    pub(crate) carried: Arc<str>,
    recorded: Option<Recorded>,
    /// The request that is to hear of its trace, once the turn is committed.
    settles: Option<(Arc<Request>, (TraceId, bool))>,
}

#[derive(Debug)]
struct Recorded {
    context: SpanContext,
    parent: Option<SpanContext>,
    link: Option<SpanContext>,
    state: Option<String>,
}

/// What is told when the batch is committed.
#[derive(Debug)]
pub(crate) struct Pending {
    span: Option<Span>,
    settles: Option<(Arc<Request>, (TraceId, bool))>,
}

/// A decided command, for its span.
pub(crate) struct Decided<'a> {
    pub(crate) command: &'static str,
    pub(crate) stream: &'a StreamId,
    pub(crate) saga: SagaId,
}

impl Tracer {
    /// A handler's turn: it follows from the message. `attempts` tells its tries apart.
    pub(crate) fn message(&self, message: &Message, attempts: u32) -> Hop {
        let sink = self.traces.sink();
        if let (None, Parentage::Parent, Some(carried)) = (sink, self.parentage, &message.trace) {
            return Hop { carried: carried.clone(), recorded: None, settles: None };
        }
        let text = message.trace.as_deref().unwrap_or_default();
        let parts = Parts::of(text);
        let creation = SpanContext::parse(parts.parent);
        let parent = creation.filter(|_| self.parentage == Parentage::Parent);
        let trace = match (parent, creation) {
            (Some(parent), _) => parent.trace,
            (None, Some(_)) => derive::trace(message.id.0, self.service),
            (None, None) => derive::saga(message.saga),
        };
        let unasked = creation.is_none_or(|creation| creation.sampled);
        let sampled = sink.map_or(unasked, |sink| sink.samples(parent, trace));
        let own = derive::span(message.id.0, self.service, attempts.into());
        // What is not recorded has no span that others could refer to: they refer to the one before.
        let span = parent.filter(|_| !sampled).map_or(own, |parent| parent.span);
        let context = SpanContext { trace, span, sampled };
        let parent_text = context.to_string();
        let carried = Parts { parent: &parent_text, ..parts }.join();
        let recorded = (sampled && sink.is_some()).then(|| Recorded {
            context,
            parent,
            link: creation.filter(|_| parent.is_none()),
            state: parts.state.map(str::to_owned),
        });
        Hop { carried, recorded, settles: None }
    }

    /// A command's turn: it follows from the caller, or begins the saga's own trace. `fresh` is an id that
    /// was made for this turn.
    pub(crate) fn command(
        &self,
        request: Option<&Arc<Request>>,
        fresh: SagaId,
        saga: SagaId,
    ) -> Hop {
        let silent = Request::default();
        let told = request.map_or(&silent, |request| &**request);
        let (sink, caller) = (self.traces.sink(), &told.caller);
        if let (None, Some(parent)) = (sink, caller.parent) {
            return Hop { carried: caller.carry(parent), recorded: None, settles: None };
        }
        let settled = told.trace.get().copied();
        let trace = settled.map_or_else(
            || caller.parent.map_or_else(|| derive::saga(saga), |parent| parent.trace),
            |(trace, _)| trace,
        );
        let sampled = match (settled, sink) {
            (Some((_, sampled)), _) => sampled,
            (None, Some(sink)) => sink.samples(caller.parent, trace),
            (None, None) => true,
        };
        let context = SpanContext { trace, span: derive::span(fresh.0, self.service, 0), sampled };
        let above = told.span.map(|span| SpanContext { trace, span, sampled });
        let recorded = (sampled && sink.is_some()).then(|| Recorded {
            context,
            parent: above.or(caller.parent),
            link: None,
            state: caller.state.clone(),
        });
        let settles = request.cloned().map(|request| (request, (trace, sampled)));
        Hop { carried: caller.carry(context), recorded, settles }
    }

    /// The `process` span of a message.
    pub(crate) fn processed(
        &self,
        hop: Hop,
        message: &Message,
        at: (Timestamp, Timestamp),
        error: Option<&HandlerError>,
    ) -> Option<Pending> {
        let recorded = hop.recorded?;
        let topic = &message.source.topic;
        let mut span = recorded.span(format!("process {topic}"), Kind::Consumer, at);
        messaging(&mut span, "process", "process", Some(topic));
        span.text("messaging.consumer.group.name", &self.group);
        span.text("messaging.destination.partition.id", message.source.lane);
        span.number("messaging.kafka.offset", message.offset);
        span.text("messaging.kafka.message.key", &message.key);
        span.text("messaging.message.id", message.id);
        span.text("messaging.message.conversation_id", message.saga);
        span.text("cloudevents.event_id", message.id);
        span.text("cloudevents.event_type", &message.event_type);
        if let Some(source) = text_header(&message.headers, name::SOURCE) {
            span.text("cloudevents.event_source", source);
        }
        failed(&mut span, error);
        Some(Pending { span: Some(span), settles: None })
    }

    /// The span of a command.
    pub(crate) fn decided(
        &self,
        hop: Hop,
        decided: &Decided<'_>,
        at: (Timestamp, Timestamp),
        error: Option<&HandlerError>,
    ) -> Option<Pending> {
        let span = hop.recorded.map(|recorded| {
            let mut span = recorded.span(format!("decide {}", decided.command), Kind::Internal, at);
            span.text("quadrille.command", decided.command);
            span.text("quadrille.stream", decided.stream);
            span.text("messaging.message.conversation_id", decided.saga);
            failed(&mut span, error);
            span
        });
        Some(Pending { span, settles: hop.settles })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.traces.sink().is_some()
    }

    /// Exports a span, when there is a sink.
    pub(crate) fn export(&self, span: Span) {
        if let Some(sink) = self.traces.sink() {
            sink.export(span);
        }
    }

    /// The context of an event that follows from nothing that was traced.
    pub(crate) fn unprompted(saga: SagaId, event: crate::id::EventId) -> Arc<str> {
        let span = derive::span(event.0, "", 0);
        SpanContext { trace: derive::saga(saga), span, sampled: true }.to_string().into()
    }
}

impl Hop {
    /// The `traceparent` and the `tracestate` for a request to the outside.
    pub(crate) fn headers(&self) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let parts = Parts::of(&self.carried);
        (Some(parts.parent.into()), parts.state.map(Into::into))
    }
}

impl Recorded {
    fn span(self, name: String, kind: Kind, (start, end): (Timestamp, Timestamp)) -> Span {
        let mut span = Span::new(name, kind, self.context, start);
        span.end = end;
        span.parent = self.parent.map(|parent| parent.span);
        span.trace_state = self.state;
        span.link(self.link);
        span
    }
}

fn messaging(span: &mut Span, operation: &str, kind: &str, topic: Option<&str>) {
    span.text("messaging.system", "kafka");
    span.text("messaging.operation.name", operation);
    span.text("messaging.operation.type", kind);
    if let Some(topic) = topic {
        span.text("messaging.destination.name", topic);
    }
}

fn failed(span: &mut Span, error: Option<&HandlerError>) {
    let Some(error) = error else { return };
    let kind = match error.kind() {
        FailureKind::Retryable => "retryable",
        FailureKind::Terminal => "terminal",
        FailureKind::Bug => "bug",
    };
    span.text("error.type", kind);
    span.error = Some(error.chain());
}

fn text_header<'a>(headers: &'a crate::log::Headers, name: &str) -> Option<&'a str> {
    record::header(headers, name).and_then(|value| std::str::from_utf8(value).ok())
}

#[cfg(test)]
mod tests;
