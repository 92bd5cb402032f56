//! The spans of the agenda: each try of an effect, and what is decided on its outcome or on a deadline.

use uuid::Uuid;

use super::{Hop, Pending, Recorded, Tracer, derive, failed};
use crate::{
    error::HandlerError,
    runtime::Timestamp,
    store::AgendaItem,
    telemetry::{Kind, Span, SpanContext, carried::Parts},
};

/// Tells the two spans of one claim apart.
const TRY: u64 = 0;
const DECISION: u64 = 1;

impl Tracer {
    /// A try of an effect. `None` when nothing that was traced has led to it.
    pub(crate) fn attempt(&self, item: &AgendaItem) -> Option<Hop> {
        self.below(item, TRY)
    }

    /// The try has ended. Its span is told at once: the call was made, whatever becomes of its batch.
    pub(crate) fn attempted(
        &self,
        hop: Hop,
        item: &AgendaItem,
        at: (Timestamp, Timestamp),
        error: Option<(&'static str, &str)>,
    ) {
        let Some(recorded) = hop.recorded else { return };
        let mut span = recorded.span(format!("perform {}", item.name), Kind::Client, at);
        about(&mut span, item);
        span.text("quadrille.effect.id", item.id);
        span.number("quadrille.effect.attempt", item.attempts.saturating_add(1));
        if let Some((kind, words)) = error {
            span.text("error.type", kind);
            span.error = Some(words.to_owned());
        }
        self.export(span);
    }

    /// The turn of a deadline, or of an effect's outcome. `None` when nothing that was traced has led to it.
    pub(crate) fn due(&self, item: &AgendaItem) -> Option<Hop> {
        self.below(item, DECISION)
    }

    /// The span of such a turn.
    pub(crate) fn delivered(
        &self,
        hop: Hop,
        item: &AgendaItem,
        event_type: &str,
        at: (Timestamp, Timestamp),
        error: Option<&HandlerError>,
    ) -> Option<Pending> {
        let mut span = hop.recorded?.span(format!("decide {event_type}"), Kind::Internal, at);
        about(&mut span, item);
        failed(&mut span, error);
        Some(Pending { span: Some(span), settles: None })
    }

    /// The claim is part of the id: when two instances have tried the same, both have a span.
    fn below(&self, item: &AgendaItem, turn: u64) -> Option<Hop> {
        let text = item.trace.as_ref()?;
        let parts = Parts::of(text);
        let (Some(sink), Some(parent)) = (self.traces.sink(), SpanContext::parse(parts.parent))
        else {
            return Some(Hop { carried: text.clone(), recorded: None, settles: None });
        };
        let sampled = sink.samples(Some(parent), parent.trace);
        let seed = Uuid::from_u128(item.id.0.as_u128() ^ item.token.as_u128());
        // What is not recorded has no span that others could refer to.
        let span = if sampled { derive::span(seed, self.service, turn) } else { parent.span };
        let context = SpanContext { span, sampled, ..parent };
        let carried = Parts { parent: &context.to_string(), ..parts }.join();
        let state = parts.state.map(str::to_owned);
        let recorded =
            sampled.then_some(Recorded { context, parent: Some(parent), link: None, state });
        Some(Hop { carried, recorded, settles: None })
    }
}

fn about(span: &mut Span, item: &AgendaItem) {
    span.text("quadrille.agenda.kind", item.kind.name());
    span.text("quadrille.agenda.name", &item.name);
    span.text("quadrille.agenda.key", &item.key);
    span.text("messaging.message.conversation_id", item.saga);
}
