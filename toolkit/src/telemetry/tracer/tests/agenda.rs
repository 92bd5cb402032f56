//! The spans of effects and deadlines.

use bytes::Bytes;

use super::*;
use crate::{
    id::AgendaId,
    store::{AgendaItem, AgendaKind, AgendaState},
};

const AT: (Timestamp, Timestamp) = (Timestamp(1), Timestamp(2));

fn item(trace: Option<&str>) -> AgendaItem {
    let runtime = Runtime::tokio_seeded(6);
    AgendaItem {
        id: AgendaId::named("effect"),
        kind: AgendaKind::Effect,
        name: "charge".into(),
        key: "o-1".into(),
        saga: runtime.new_saga_id(),
        causation: "command:1".into(),
        trace: trace.map(Into::into),
        payload: Bytes::new(),
        set_at: Timestamp(0),
        due: Timestamp(0),
        state: AgendaState::Pending,
        attempts: 2,
        begun: false,
        outcome: None,
        reason: String::new(),
        token: runtime.new_uuid(),
    }
}

#[test]
fn a_try_is_below_what_asked_for_it_and_its_outcome_below_the_try() {
    let (kept, tracer) = on("parentbased_always_on");
    let mut item = item(Some(CALLER));
    let hop = tracer.attempt(&item).unwrap();
    item.trace = Some(hop.carried.clone());
    tracer.attempted(hop, &item, AT, Some(("not_sent", "no connection")));
    let hop = tracer.due(&item).unwrap();
    let carried = context(&hop.carried);
    let decided = tracer.delivered(hop, &item, "charged", AT, None).unwrap().span.unwrap();
    let tried = kept.take().pop().unwrap();

    let caller = SpanContext::parse(CALLER).unwrap();
    assert_eq!((&*tried.name, tried.kind), ("perform charge", Kind::Client));
    assert_eq!((tried.context.trace, tried.parent), (caller.trace, Some(caller.span)));
    assert_eq!((tried.start, tried.end), AT);
    assert_eq!(tried.attribute("quadrille.effect.attempt"), Some(&Value::Number(3)));
    assert_eq!(tried.attribute("error.type"), Some(&Value::Text("not_sent".into())));
    assert_eq!(tried.error.as_deref(), Some("no connection"));
    assert_eq!((&*decided.name, decided.kind), ("decide charged", Kind::Internal));
    assert_eq!(decided.parent, Some(tried.context.span));
    assert_eq!(decided.context, carried, "what follows continues the decision");
    assert_eq!(decided.attribute("quadrille.agenda.key"), Some(&Value::Text("o-1".into())));
}

#[test]
fn each_claim_of_an_item_has_spans_of_its_own() {
    let (_, tracer) = on("always_on");
    let first = item(Some(CALLER));
    let carried = |item: &AgendaItem| tracer.attempt(item).unwrap().carried;
    assert_eq!(carried(&first), carried(&first));
    let token = uuid::Uuid::from_u128(1);
    assert_ne!(carried(&first), carried(&AgendaItem { token, ..first.clone() }));
    assert_ne!(carried(&first), tracer.due(&first).unwrap().carried);
}

#[test]
fn the_outside_gets_headers_and_no_baggage() {
    let trace = format!("{CALLER}\na=1\ntenant=blue");
    let parent = |hop: &Hop| hop.headers().0.unwrap();
    let (_, tracer) = on("always_on");
    let hop = tracer.attempt(&item(Some(&trace))).unwrap();
    assert_eq!(hop.headers().1.as_deref(), Some("a=1"));
    assert_eq!(parent(&hop).len(), CALLER.len(), "one line");
    assert_eq!(&parent(&hop)[..36], &CALLER[..36], "the same trace");
    assert_eq!(Parts::of(&hop.carried).baggage, Some("tenant=blue"));
    let untraced = off().attempt(&item(Some(&trace))).unwrap();
    assert_eq!((&*parent(&untraced), untraced.headers().1.as_deref()), (CALLER, Some("a=1")));
}

#[test]
fn no_span_without_a_sink_or_a_trace_or_a_sample() {
    let (kept, tracer) = on("parentbased_always_on");
    for (tracer, trace) in [(&off(), CALLER), (&tracer, UNSAMPLED)] {
        let item = item(Some(trace));
        let hop = tracer.attempt(&item).unwrap();
        assert_eq!(&*hop.carried, trace);
        tracer.attempted(hop, &item, AT, None);
        let hop = tracer.due(&item).unwrap();
        assert!(tracer.delivered(hop, &item, "charged", AT, None).is_none());
    }
    assert!(tracer.attempt(&item(None)).is_none() && tracer.due(&item(None)).is_none());
    assert!(kept.take().is_empty());
}
