//! A finished span, as an exporter gets it.

use super::{SpanContext, SpanId};
use crate::runtime::Timestamp;

/// What a span is to those at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work inside a service.
    Internal,
    /// Serves a request.
    Server,
    /// Asks another, and waits.
    Client,
    /// Works on a message.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// A finished span.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// Its name: operation and destination.
    pub name: String,
    /// What it is to others.
    pub kind: Kind,
    /// Its trace and its id.
    pub context: SpanContext,
    /// The span that caused it, in the same trace.
    pub parent: Option<SpanId>,
    /// The `tracestate` that came with its parent.
    pub trace_state: Option<String>,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Names by OpenTelemetry's conventions, and values.
    pub attributes: Vec<(&'static str, Value)>,
    /// Other spans that have to do with it; at most [`SPAN_LINKS_MAX`](super::SPAN_LINKS_MAX).
    pub links: Vec<SpanContext>,
    /// How many more links there would have been.
    pub links_dropped: u32,
    /// What failed, for a person; its kind is the attribute `error.type`.
    pub error: Option<String>,
}

impl Span {
    pub(super) fn new(name: String, kind: Kind, context: SpanContext, start: Timestamp) -> Self {
        Self {
            name,
            kind,
            context,
            parent: None,
            trace_state: None,
            start,
            end: start,
            attributes: vec![],
            links: vec![],
            links_dropped: 0,
            error: None,
        }
    }

    pub(super) fn text(&mut self, name: &'static str, value: impl ToString) {
        self.attributes.push((name, Value::Text(value.to_string())));
    }

    pub(super) fn number(&mut self, name: &'static str, value: impl TryInto<i64>) {
        self.attributes.push((name, Value::Number(value.try_into().unwrap_or(i64::MAX))));
    }

    pub(super) fn link(&mut self, contexts: impl IntoIterator<Item = SpanContext>) {
        for context in contexts {
            if self.links.len() < super::SPAN_LINKS_MAX {
                self.links.push(context);
            } else {
                self.links_dropped = self.links_dropped.saturating_add(1);
            }
        }
    }

    /// The value of an attribute that is a text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}
