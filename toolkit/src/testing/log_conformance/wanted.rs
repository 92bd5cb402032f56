//! What a subscription may leave out.

use super::{
    LogUnderTest,
    ground::{Ground, numbered, record, unique},
};
use crate::{
    id::{EventId, Lane, LaneSeq, SagaId, StreamId},
    log::{
        NewRecord,
        record::{ServiceIdentity, encode, glance},
    },
    runtime::Timestamp,
    store::{Published, RecordedEvent},
};

const WANTED: &str = "WANTED";

fn event(event_type: &'static str, seq: LaneSeq) -> NewRecord {
    let event = RecordedEvent {
        id: EventId(uuid::Uuid::from_u128(seq.into())),
        stream: StreamId::from_stored("order/1"),
        version: seq,
        event_type: event_type.into(),
        payload: (&b"{}"[..]).into(),
        saga: SagaId(uuid::Uuid::from_u128(9)),
        causation: "cause".into(),
        time: Timestamp(1_700_000_000_000_000),
        trace: None,
        published: Some(Published { lane: Lane(0), lane_seq: seq, key: "o-1".into() }),
    };
    encode(&ServiceIdentity::new("order"), &event).expect("a public event")
}

/// Nothing of what is wanted, of what has no number and of what has no type; of anything else all but its place.
pub async fn of_a_type_that_is_not_wanted_its_place_is_brought(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let sent = [event(WANTED, 1), event("OTHER", 2), numbered(0, 3), record(0, "foreign")];
    ground.publish(sent.to_vec()).await;
    let mut reader = ground.join(&unique("group")).await;
    reader.subscription.narrow(&[WANTED.to_owned()]);
    ground.until("the records", &mut reader, |reader| reader.records.len() == sent.len()).await;
    let got = &reader.records;
    for n in [0, 2, 3] {
        assert_eq!(got[n].headers, sent[n].headers, "record {n}");
        assert_eq!((&got[n].key, &got[n].value), (&sent[n].key, &sent[n].value), "record {n}");
    }
    let other = glance(&got[1]).expect("its place");
    assert_eq!((other.seq, other.id.0.as_u128(), other.event_type), (2, 2, "OTHER"));
    let brought = got[1].headers.to_vec();
    assert!(brought.iter().all(|it| sent[1].headers.to_vec().contains(it)), "{brought:?}");
}
