use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    id::{EventId, KEY_BYTES_MAX, Lane, SagaId, SourceLane, StreamId},
    log::{Header, LogRecord, NewRecord, partition::lane_of},
    runtime::Timestamp,
    store::{Published, RecordedEvent},
};

const LANES: u32 = 6;

fn event(key: &str) -> RecordedEvent {
    RecordedEvent {
        id: EventId(uuid::Uuid::from_u128(7)),
        stream: StreamId::from_stored("order/1"),
        version: 3,
        event_type: "BILLED_ORDER".into(),
        payload: Bytes::from_static(br#"{"amount":1}"#),
        saga: SagaId(uuid::Uuid::from_u128(9)),
        causation: "cause".to_owned(),
        time: Timestamp(1_700_000_000_000_001),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        published: Some(Published {
            lane: lane_of(key.as_bytes(), LANES),
            lane_seq: 42,
            key: key.into(),
        }),
    }
}

fn written(event: &RecordedEvent) -> NewRecord {
    encode(&ServiceIdentity::new("payment"), event).expect("a public event")
}

fn read(record: NewRecord) -> LogRecord {
    LogRecord {
        source: SourceLane::new("shop.payment.events", record.lane),
        offset: 5,
        key: record.key,
        value: record.value,
        headers: record.headers,
        time: record.time,
    }
}

/// The record of [`event`] with one header set to `value`, or left out.
fn with(name: &'static str, value: Option<&[u8]>) -> LogRecord {
    let mut record = written(&event("order-1"));
    record.headers.retain(|h| h.name != name);
    if let Some(value) = value {
        record.headers.push(Header { name: name.into(), value: Bytes::copy_from_slice(value) });
    }
    read(record)
}

fn refused(record: &LogRecord) -> Malformed {
    decode(record, Some(LANES)).expect_err("must be refused")
}

#[test]
fn the_record_has_the_headers_of_the_binding_byte_for_byte() {
    let record = written(&event("order-1"));
    let headers: Vec<_> =
        record.headers.iter().map(|h| (h.name, std::str::from_utf8(h.value).unwrap())).collect();
    let lane = lane_of(b"order-1", LANES).0.to_string();
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "00000000-0000-0000-0000-000000000007"),
        ("ce_source", "/quadrille/payment"),
        ("ce_type", "BILLED_ORDER"),
        ("ce_time", "2023-11-14T22:13:20.000001Z"),
        ("ce_subject", "order-1"),
        ("ce_dataschema", "/schemas/BILLED_ORDER.json"),
        ("content-type", "application/json"),
        ("ce_correlationid", "00000000-0000-0000-0000-000000000009"),
        ("ce_causationid", "cause"),
        ("ce_sequence", "00000000000000000042"),
        ("ce_partitionkey", "order-1"),
        ("ce_lane", &lane),
        ("ce_laneseq", "42"),
        ("ce_streamversion", "3"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    assert_eq!(headers, expected);
    assert_eq!(&record.key[..], b"order-1");
    assert_eq!(&record.value[..], br#"{"amount":1}"#);
    assert_eq!(record, written(&event("order-1")), "the same event gives the same bytes");
}

#[test]
fn a_glance_sees_what_decoding_sees_and_nothing_in_what_it_would_refuse() {
    let record = read(written(&event("order-1")));
    let message = decode(&record, Some(LANES)).unwrap();
    let seen = glance(&record).expect("an event of ours");
    assert_eq!((seen.seq, seen.id, seen.event_type), (message.seq, message.id, "BILLED_ORDER"));
    let faults = [
        (name::LANE_SEQ, [None, Some(&b"0"[..]), Some(b"x")]),
        (name::LANE, [None, Some(b"17"), Some(b"+1")]),
        (name::ID, [None, Some(b"7"), Some(b"\xff")]),
        (name::TYPE, [None, Some(b"\xff"), None]),
    ];
    for (header, values) in faults {
        for value in values {
            assert_eq!(glance(&with(header, value)), None, "{header}: {value:?}");
        }
    }
}

#[test]
fn a_private_event_has_no_record() {
    let private = RecordedEvent { published: None, ..event("order-1") };
    assert_eq!(encode(&ServiceIdentity::new("payment"), &private), None);
}

#[test]
fn each_fault_has_its_reason_and_what_could_be_read() {
    let cases: &[(&'static str, Option<&[u8]>, &str)] = &[
        (name::SPEC_VERSION, None, "no header ce_specversion"),
        (name::SPEC_VERSION, Some(b"0.3"), "ce_specversion is \"0.3\""),
        (name::ID, None, "no header ce_id"),
        (name::ID, Some(b"17"), "ce_id is \"17\", no UUID"),
        (name::ID, Some(b"\xff"), "ce_id is \"\\xff\", no UTF-8"),
        (name::SOURCE, None, "no header ce_source"),
        (name::TYPE, None, "no header ce_type"),
        (name::TYPE, Some(b""), "ce_type: an id must not be empty"),
        (name::TYPE, Some(b"A\0"), "control character"),
        (name::TIME, None, "no header ce_time"),
        (name::TIME, Some(b"yesterday"), "no RFC 3339 time"),
        (name::CORRELATION_ID, None, "no header ce_correlationid"),
        (name::CORRELATION_ID, Some(b"saga"), "ce_correlationid is \"saga\", no UUID"),
        (name::LANE, None, "no header ce_lane"),
        (name::LANE, Some(b"77"), "numbered for lane \"77\""),
        (name::LANE_SEQ, None, "has lost its number"),
        (name::LANE_SEQ, Some(b"0"), "no number from 1"),
        (name::LANE_SEQ, Some(b"+1"), "no number from 1"),
        (name::LANE_SEQ, Some(b"9223372036854775808"), "no number from 1"),
        (name::CONTENT_TYPE, Some(b"Application/CloudEvents+json"), "structured mode"),
    ];
    for (name, value, reason) in cases {
        let refusal = refused(&with(name, *value));
        assert!(refusal.reason.contains(reason), "{name}: {}", refusal.reason);
        let seq_known = *name != name::LANE_SEQ && *name != name::LANE;
        assert_eq!(refusal.seq, seq_known.then_some(42), "{name}");
        assert_eq!(refusal.id.is_some(), *name != name::ID, "{name}");
        assert_eq!(refusal.event_type.is_some(), *name != name::TYPE, "{name}");
        assert_eq!(refusal.saga.is_some(), *name != name::CORRELATION_ID, "{name}");
        assert_eq!(refusal.key.as_deref(), Some("order-1"), "{name}");
    }
}

#[test]
fn a_bad_key_is_refused() {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    for (key, reason) in [
        (&b""[..], "empty"),
        (b"a\nb", "control"),
        (long.as_bytes(), "longer"),
        (b"\xff\xfe", "no UTF-8"),
    ] {
        let mut record = with("none", None);
        record.key = Bytes::copy_from_slice(key);
        let refusal = refused(&record);
        assert!(refusal.reason.contains(reason), "{}", refusal.reason);
        assert_eq!((refusal.key, refusal.seq), (None, Some(42)));
    }
}

#[test]
fn a_key_in_the_wrong_lane_is_refused_when_the_number_of_lanes_is_known() {
    let mut record = with("none", None);
    record.key = Bytes::from_static(b"order-2");
    assert_ne!(lane_of(b"order-1", LANES), lane_of(b"order-2", LANES), "else this tests nothing");
    let refusal = refused(&record);
    assert!(refusal.reason.starts_with("wrong key"), "{}", refusal.reason);
    assert_eq!(refusal.seq, Some(42));
    assert!(decode(&record, None).is_ok());
}

#[test]
fn of_two_headers_with_one_name_the_last_counts() {
    let mut record = written(&event("order-1"));
    let mut headers = record.headers.to_vec();
    headers.insert(0, Header { name: name::LANE_SEQ.into(), value: "1".into() });
    headers.insert(0, Header { name: name::ID.into(), value: "nothing".into() });
    record.headers = headers.into();
    assert_eq!(decode(&read(record), Some(LANES)).unwrap().seq, 42);
}

#[test]
fn headers_beyond_the_limits_are_refused_and_the_number_is_still_read() {
    let mut many = written(&event("order-1"));
    for _ in 0..HEADERS_MAX {
        many.headers.push(Header { name: "x".into(), value: Bytes::new() });
    }
    let refusal = refused(&read(many));
    assert!(refusal.reason.contains("headers are more than the limit of 64"), "{refusal}");
    assert_eq!(refusal.seq, Some(42));

    let long = refused(&with("x", Some(&vec![b'x'; HEADER_BYTES_MAX])));
    assert!(long.reason.contains("bytes are more than the limit of 32768 bytes"), "{long}");
    assert_eq!(long.seq, Some(42));
}

#[test]
fn a_broken_trace_is_ignored() {
    for broken in [&b"\xff"[..], b"", b"a\nb", b"00-1-2-01"] {
        assert_eq!(
            decode(&with(name::TRACE_PARENT, Some(broken)), Some(LANES)).unwrap().trace,
            None
        );
    }
}

fn any_headers() -> impl Strategy<Value = Vec<Header>> {
    let ours = prop::sample::select(vec![
        name::SPEC_VERSION,
        name::ID,
        name::TYPE,
        name::LANE_SEQ,
        name::TIME,
        name::CONTENT_TYPE,
    ])
    .prop_map(Cow::Borrowed);
    let theirs = "[a-c]{0,2}(;base64|;text)?(;base64|;text)?".prop_map(Cow::Owned);
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        ".{0,6}".prop_map(String::into_bytes),
        Just(b"1.0".to_vec()),
        Just(b"7".to_vec()),
    ];
    let header = (prop_oneof![ours, theirs], value)
        .prop_map(|(name, value)| Header { name, value: value.into() });
    prop::collection::vec(header, 0..12)
}

/// The same headers, those of one name brought together where the first of them stands.
fn grouped(headers: &[Header]) -> Vec<Header> {
    let mut names: Vec<&str> = Vec::new();
    for header in headers {
        if !names.contains(&&*header.name) {
            names.push(&header.name);
        }
    }
    let of = |name: &str| headers.iter().filter(|h| h.name == name).cloned().collect::<Vec<_>>();
    names.into_iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        key in "[^\\p{Cc}]{1,60}",
        event_type in "[A-Za-z_.]{1,40}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        micros in 0i64..4_000_000_000_000_000,
        lane_seq in 1..=i64::MAX.cast_unsigned(),
        lanes in 1u32..64,
        ids in any::<(u128, u128)>(),
        trace in prop::option::of("00-[1-9a-f]{32}-[1-9a-f]{16}-0[01](\n[a-z]=[!-~]{1,9}|\n(x=1)?\n[!-~]{1,9})?"),
    ) {
        let mut event = event(&key);
        event.id = EventId(uuid::Uuid::from_u128(ids.0));
        event.saga = SagaId(uuid::Uuid::from_u128(ids.1));
        event.event_type = event_type.into();
        event.payload = payload.into();
        event.time = Timestamp(micros);
        event.trace = trace.map(Arc::from);
        let lane = lane_of(key.as_bytes(), lanes);
        event.published = Some(Published { lane, lane_seq, key: key.as_str().into() });

        let record = read(written(&event));
        let message = decode(&record, Some(lanes)).unwrap();
        prop_assert_eq!(message, Message {
            source: record.source,
            offset: record.offset,
            seq: lane_seq,
            id: event.id,
            foreign: None,
            event_type: event.event_type.into(),
            saga: event.saga,
            key: key.into(),
            time: event.time,
            payload: event.payload,
            trace: event.trace,
            headers: record.headers,
        });
    }

    #[test]
    fn decode_takes_any_headers(
        headers in any_headers(),
        key in prop::collection::vec(any::<u8>(), 0..8),
        lane in 0u32..3,
    ) {
        let mut record = with("none", None);
        let mut all = record.headers.to_vec();
        all.extend(headers);
        record.headers = all.into();
        record.key = key.into();
        record.source.lane = Lane(lane);
        // Either is right; a panic is not.
        if let Err(refusal) = decode(&record, Some(LANES)) {
            prop_assert!(!refusal.reason.is_empty());
        }
    }

    #[test]
    fn headers_come_back_from_json(headers in any_headers()) {
        let list = headers;
        let headers = Headers::from(list.clone());
        let json = headers_to_json(&headers);
        let object: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert!(object.is_object());
        prop_assert!(!std::str::from_utf8(&json).unwrap().contains("\\u0000"));
        let back = headers_from_json(&json).unwrap();
        prop_assert_eq!(&back, &grouped(&list).into());
        for h in headers.iter() {
            prop_assert_eq!(header(&back, h.name), header(&headers, h.name));
        }
    }
}

#[test]
fn the_json_is_what_people_expect() {
    let headers = [("a", &b"text"[..]), ("b", b"\xff\x00"), ("a", b"again")]
        .map(|(name, value)| Header { name: name.into(), value: value.into() })
        .into_iter()
        .collect::<Headers>();
    assert_eq!(&headers_to_json(&headers)[..], br#"{"a":["text","again"],"b;base64":"/wA="}"#);
    for wrong in ["", "[]", "{\"a\":1}", "{\"a;base64\":\"?\"}"] {
        assert!(headers_from_json(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_held_message_is_read_again() {
    let record = with("none", None);
    let message = decode(&record, Some(LANES)).unwrap();
    let held = crate::store::HeldMessage {
        source: record.source.clone(),
        id: message.id.to_string(),
        key: Arc::clone(&message.key),
        seq: message.seq,
        offset: record.offset,
        event_type: message.event_type.to_string(),
        saga: Some(message.saga.to_string()),
        headers: headers_to_json(&record.headers),
        payload: record.value.clone(),
        state: crate::store::HeldState::Parked,
        attempts: 1,
        held_at: Timestamp(1),
        next_at: Timestamp(2),
        reason: "no stock service".to_owned(),
    };
    assert_eq!(decode_held(&held).unwrap(), message);
    let damaged = crate::store::HeldMessage { headers: "{".into(), ..held };
    assert!(decode_held(&damaged).unwrap_err().reason.contains("stored headers"));
}
