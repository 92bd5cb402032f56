mod agenda;

use std::sync::{Mutex, PoisonError};

use super::*;
use crate::{
    id::{Lane, SourceLane},
    log::{Header, Headers, LogRecord, record::decode},
    runtime::Runtime,
    store::{Append, PositionMove, RecordedEvent},
    telemetry::{Caller, SPAN_LINKS_MAX, Sampler, SpanId, SpanSink, Value},
};

#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    sampler: Sampler,
}

impl SpanSink for Kept {
    fn samples(&self, parent: Option<SpanContext>, trace: TraceId) -> bool {
        self.sampler.samples(parent, trace)
    }

    fn export(&self, span: Span) {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

impl Kept {
    fn take(&self) -> Vec<Span> {
        std::mem::take(&mut self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const TOPIC: &str = "shop.order.events";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn tracer(traces: Traces, parentage: Parentage) -> Tracer {
    let (group, topic) = ("shop.payment".into(), "shop.payment.events".into());
    Tracer { traces, parentage, service: "payment", group, topic }
}

fn on(sampler: &str) -> (Arc<Kept>, Tracer) {
    let sampler = Sampler::named(sampler, None).unwrap();
    let kept = Arc::new(Kept { sampler, ..Kept::default() });
    (kept.clone(), tracer(Traces::to(kept), Parentage::Parent))
}

fn off() -> Tracer {
    tracer(Traces::off(), Parentage::Parent)
}

fn headers(runtime: &Runtime, more: &[(&'static str, &str)]) -> Headers {
    let identity = record::ServiceIdentity::new("order");
    let event = RecordedEvent {
        id: runtime.new_event_id(),
        stream: StreamId::new("participation", &"o-1").unwrap(),
        version: 1,
        event_type: "ORDER_CREATED".into(),
        payload: "{}".into(),
        saga: runtime.new_saga_id(),
        causation: "command:1".into(),
        time: runtime.clock.now(),
        trace: None,
        published: Some(crate::store::Published { lane: Lane(0), lane_seq: 1, key: "o-1".into() }),
    };
    let mut headers = record::encode(&identity, &event).unwrap().headers;
    for (name, value) in more {
        let value = bytes::Bytes::copy_from_slice(value.as_bytes());
        headers.push(Header { name: (*name).into(), value });
    }
    headers
}

fn log_record(runtime: &Runtime, more: &[(&'static str, &str)]) -> LogRecord {
    LogRecord {
        source: SourceLane { topic: TOPIC.into(), lane: Lane(0) },
        offset: 7,
        key: "o-1".into(),
        value: "{}".into(),
        headers: headers(runtime, more),
        time: runtime.clock.now(),
    }
}

fn message(more: &[(&'static str, &str)]) -> Message {
    decode(&log_record(&Runtime::tokio_seeded(1), more), None).unwrap()
}

fn context(carried: &str) -> SpanContext {
    SpanContext::parse(Parts::of(carried).parent).unwrap()
}

#[test]
fn without_a_sink_a_context_is_handed_on_as_it_is() {
    let message = message(&[("traceparent", CALLER), ("baggage", "tenant=blue")]);
    let hop = off().message(&message, 0);
    assert!(Arc::ptr_eq(&hop.carried, message.trace.as_ref().unwrap()), "no allocation");
    assert!(hop.recorded.is_none());
}

#[test]
fn a_message_without_a_trace_continues_its_saga() {
    for tracer in [off(), on("always_on").1] {
        let message = message(&[]);
        let carried = context(&tracer.message(&message, 0).carried);
        assert_eq!(carried.trace.0, message.saga.0.as_u128());
        assert!(carried.sampled);
    }
}

#[test]
fn a_turns_span_is_the_parent_of_what_follows_and_keeps_state_and_baggage() {
    let (_, tracer) = on("parentbased_always_on");
    let sent = [("traceparent", CALLER), ("tracestate", "a=1"), ("baggage", "tenant=blue")];
    let message = message(&sent);
    let hop = tracer.message(&message, 0);
    let recorded = hop.recorded.as_ref().unwrap();
    assert_eq!(recorded.parent.unwrap().to_string(), CALLER);
    assert_eq!(context(&hop.carried), recorded.context);
    assert_ne!(recorded.context.span, recorded.parent.unwrap().span);
    let parts = Parts::of(&hop.carried);
    assert_eq!((parts.state, parts.baggage), (Some("a=1"), Some("tenant=blue")));
}

#[test]
fn the_same_turn_has_the_same_span_and_another_try_has_another() {
    let (_, tracer) = on("always_on");
    let message = message(&[("traceparent", CALLER)]);
    let carried = |attempts| tracer.message(&message, attempts).carried;
    assert_eq!(carried(0), carried(0));
    assert_ne!(carried(0), carried(1));
}

#[test]
fn what_is_not_sampled_has_no_span_and_others_refer_to_the_one_before() {
    let (_, parent_based) = on("parentbased_always_on");
    let hop = parent_based.message(&message(&[("traceparent", UNSAMPLED)]), 0);
    assert!(hop.recorded.is_none());
    assert_eq!(&*hop.carried, UNSAMPLED);
    let (_, never) = on("always_off");
    let hop = never.message(&message(&[("traceparent", CALLER)]), 0);
    assert!(hop.recorded.is_none());
    assert_eq!(&*hop.carried, UNSAMPLED);
}

#[test]
fn as_a_link_every_hop_is_a_trace_of_its_own() {
    let kept = Arc::new(Kept::default());
    let tracer = tracer(Traces::to(kept), Parentage::Link);
    let hop = tracer.message(&message(&[("traceparent", CALLER)]), 0);
    let recorded = hop.recorded.unwrap();
    assert_eq!(recorded.parent, None);
    assert_eq!(recorded.link.unwrap().to_string(), CALLER);
    assert_ne!(recorded.context.trace, recorded.link.unwrap().trace);
}

#[test]
fn a_command_follows_its_caller_or_begins_its_sagas_trace() {
    let runtime = Runtime::tokio_seeded(2);
    let (fresh, saga) = (runtime.new_saga_id(), runtime.new_saga_id());
    let caller = Caller::new(Some(CALLER), None, Some("tenant=blue"));
    let request = Arc::new(Request::new(caller, None));
    for tracer in [off(), on("always_on").1] {
        let own = tracer.command(None, fresh, saga);
        assert_eq!(context(&own.carried).trace.0, saga.0.as_u128());
        let told = tracer.command(Some(&request), fresh, saga);
        assert_eq!(context(&told.carried).trace, SpanContext::parse(CALLER).unwrap().trace);
        assert_eq!(Parts::of(&told.carried).baggage, Some("tenant=blue"));
    }
}

#[test]
fn a_process_span_says_what_the_conventions_ask_for() {
    let (_, tracer) = on("always_on");
    let message = message(&[("traceparent", CALLER)]);
    let hop = tracer.message(&message, 0);
    let error = HandlerError::terminal("no such account");
    let at = (Timestamp(5), Timestamp(9));
    let span = tracer.processed(hop, &message, at, Some(&error)).unwrap().span.unwrap();
    assert_eq!((span.name.as_str(), span.kind), ("process shop.order.events", Kind::Consumer));
    assert_eq!((span.start, span.end), at);
    for (name, value) in [
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", TOPIC),
        ("messaging.destination.partition.id", "0"),
        ("messaging.consumer.group.name", "shop.payment"),
        ("messaging.kafka.message.key", "o-1"),
        ("messaging.message.id", &message.id.to_string()),
        ("messaging.message.conversation_id", &message.saga.to_string()),
        ("cloudevents.event_type", "ORDER_CREATED"),
        ("cloudevents.event_source", "/quadrille/order"),
        ("error.type", "terminal"),
    ] {
        assert_eq!(span.attribute(name), Some(&Value::Text(value.to_owned())), "{name}");
    }
    assert_eq!(span.attribute("messaging.kafka.offset"), Some(&Value::Number(7)));
    assert_eq!(span.error.as_deref(), Some("no such account"));
}

fn pending(trace: u128, span: u64) -> Pending {
    let context = SpanContext { trace: TraceId(trace), span: SpanId(span), sampled: true };
    let span = Span::new("process t".to_owned(), Kind::Consumer, context, Timestamp(1));
    Pending { span: Some(span), settles: None }
}

fn append(topics: &[&str]) -> Append {
    let moved = |topic: &&str| PositionMove {
        source: SourceLane { topic: (*topic).into(), lane: Lane(0) },
        epoch: 1,
        from: 0,
        to: 1,
        last_id: None,
        next_offset: 1,
    };
    Append { positions: topics.iter().map(moved).collect(), ..Append::default() }
}

#[test]
fn a_commit_of_one_trace_is_in_it_and_one_of_many_links_to_as_many_as_allowed() {
    let (kept, tracer) = on("always_on");
    let runtime = Runtime::tokio_seeded(3);
    tracer.committed(vec![pending(7, 1), pending(7, 2)], &append(&[TOPIC]), &*runtime.clock);
    let commit = kept.take().pop().unwrap();
    assert_eq!(commit.name, "commit shop.order.events");
    assert_eq!((commit.context.trace, commit.parent), (TraceId(7), Some(SpanId(1))));
    assert_eq!(commit.attribute("messaging.batch.message_count"), Some(&Value::Number(2)));
    assert_eq!(commit.attribute("messaging.operation.type"), Some(&Value::Text("settle".into())));

    let many = SPAN_LINKS_MAX as u128 + 5;
    let batch = (1..=many).map(|trace| pending(trace, 1)).collect();
    tracer.committed(batch, &append(&["a", "b"]), &*runtime.clock);
    let commit = kept.take().pop().unwrap();
    assert_eq!((commit.name.as_str(), commit.parent), ("commit", None));
    assert_eq!((commit.links.len(), commit.links_dropped), (SPAN_LINKS_MAX, 5));
    assert!(!(1..=many).contains(&commit.context.trace.0));
}

#[test]
fn a_send_span_links_to_what_it_publishes_and_tells_a_doubt() {
    let (kept, tracer) = on("parentbased_always_on");
    let runtime = Runtime::tokio_seeded(4);
    let record = |parent| crate::log::NewRecord {
        lane: Lane(3),
        key: "o-1".into(),
        value: "{}".into(),
        headers: headers(&runtime, &[("traceparent", parent)]),
        time: Timestamp(1),
    };
    let begun = tracer.sending(&[record(CALLER)], "shop.payment.relay.0", &*runtime.clock);
    tracer.sent(begun, Some("time-out"), &*runtime.clock);
    let send = kept.take().pop().unwrap();
    let creation = SpanContext::parse(CALLER).unwrap();
    assert_eq!(send.name, "send shop.payment.events");
    // The parent says it: no link besides.
    assert_eq!((send.links, send.parent), (vec![], Some(creation.span)));
    assert_eq!(send.error.as_deref(), Some("time-out"));
    assert!(tracer.sending(&[record(UNSAMPLED)], "t", &*runtime.clock).is_none());
    assert!(off().sending(&[record(CALLER)], "t", &*runtime.clock).is_none());
}

#[test]
fn a_poll_span_for_each_topic() {
    let (kept, tracer) = on("always_on");
    let runtime = Runtime::tokio_seeded(5);
    let mut other = log_record(&runtime, &[("traceparent", CALLER)]);
    other.source.topic = "shop.shipping.events".into();
    let records = [log_record(&runtime, &[("traceparent", CALLER)]), other];
    tracer.polled(&records, &*runtime.clock);
    let names: Vec<String> = kept.take().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["poll shop.order.events", "poll shop.shipping.events"]);
}
