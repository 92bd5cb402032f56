//! What the properties are written with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use uuid::Uuid;

use super::StorePlace;
use crate::{
    id::{CauseId, EventId, Lane, LaneSeq, SagaId, SourceLane, StreamId, Version},
    runtime::Timestamp,
    store::{
        Append, AppendError, Appended, Claim, Claimed, EventStore, HeldMessage, HeldState,
        NewEvent, Position, PositionMove, RecordedEvent, Registration, Route, StartAt, StreamRead,
        StreamSlice,
    },
};

pub(crate) const LANES: u32 = 3;
pub(crate) const SHARDS: u32 = 2;
/// How long a property waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A registered store.
pub(crate) async fn open(place: &dyn StorePlace) -> Arc<dyn EventStore> {
    let store = place.open().await;
    store.register(&registration()).await.unwrap();
    store
}

pub(crate) fn registration() -> Registration {
    Registration { service: "payment".into(), lanes: LANES, shards: SHARDS }
}

/// A number that was not used before in this process.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn uuid() -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(unique()))
}

pub(crate) fn event_id() -> EventId {
    EventId(uuid())
}

pub(crate) fn saga() -> SagaId {
    SagaId(uuid())
}

pub(crate) fn cause() -> CauseId {
    CauseId(uuid())
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new("account", &name).unwrap()
}

/// A private event.
pub(crate) fn event(stream: &StreamId, version: Version) -> NewEvent {
    NewEvent {
        id: event_id(),
        stream: stream.clone(),
        version,
        event_type: "CAPTURED".into(),
        payload: Bytes::from(format!("{{\"version\":{version}}}")),
        saga: saga(),
        causation: "caused by a test".into(),
        time: Timestamp(1_700_000_000_123_456),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        route: None,
    }
}

/// A public event.
pub(crate) fn public(stream: &StreamId, version: Version, lane: u32, key: &str) -> NewEvent {
    NewEvent { route: Some(Route { lane: Lane(lane), key: key.into() }), ..event(stream, version) }
}

/// An event as it must be read back.
pub(crate) fn recorded(event: &NewEvent, lane_seq: LaneSeq) -> RecordedEvent {
    RecordedEvent {
        id: event.id,
        stream: event.stream.clone(),
        version: event.version,
        event_type: event.event_type.clone(),
        payload: event.payload.clone(),
        saga: event.saga,
        causation: event.causation.clone(),
        time: event.time,
        trace: event.trace.clone(),
        published: event.route.as_ref().map(|route| crate::store::Published {
            lane: route.lane,
            lane_seq,
            key: route.key.clone(),
        }),
    }
}

/// An append of events to streams whose heads are known from the events themselves.
pub(crate) fn append(events: Vec<NewEvent>) -> Append {
    let mut reads: Vec<(StreamId, Version)> = Vec::new();
    for event in &events {
        if !reads.iter().any(|(stream, _)| *stream == event.stream) {
            reads.push((event.stream.clone(), event.version - 1));
        }
    }
    Append { cause: Some(cause()), at: Timestamp(1), reads, events, ..Append::default() }
}

/// One private event to a stream.
pub(crate) fn append_to(stream: &StreamId, head: Version) -> Append {
    append(vec![event(stream, head + 1)])
}

pub(crate) fn read(stream: &StreamId, shape: u32) -> StreamRead {
    StreamRead { stream: stream.clone(), snapshot_version: shape }
}

pub(crate) async fn slice(store: &dyn EventStore, stream: &StreamId) -> StreamSlice {
    slice_of(store, stream, 1).await
}

pub(crate) async fn slice_of(store: &dyn EventStore, stream: &StreamId, shape: u32) -> StreamSlice {
    store.load(&[read(stream, shape)]).await.unwrap().remove(0)
}

pub(crate) async fn head(store: &dyn EventStore, stream: &StreamId) -> Version {
    slice(store, stream).await.version
}

pub(crate) fn source(lane: u32) -> SourceLane {
    SourceLane::new("demo.order.events", Lane(lane))
}

pub(crate) fn claim_of(lanes: &[SourceLane], consumes: &[&str]) -> Claim {
    Claim {
        lanes: lanes.to_vec(),
        consumes: consumes.iter().map(|c| (*c).to_owned()).collect(),
        start: StartAt::First,
        held_max: 1000,
    }
}

/// Claims one lane.
pub(crate) async fn claim(store: &dyn EventStore, lane: &SourceLane) -> Claimed {
    store.claim(&claim_of(std::slice::from_ref(lane), &["A"])).await.unwrap().remove(0)
}

/// Claims one lane that must be given.
pub(crate) async fn own(store: &dyn EventStore, lane: &SourceLane) -> (u64, Position) {
    match claim(store, lane).await {
        Claimed::Owned { epoch, position, .. } => (epoch, position),
        refused @ Claimed::Refused { .. } => panic!("{lane} is refused: {refused:?}"),
    }
}

pub(crate) fn move_to(lane: &SourceLane, epoch: u64, from: LaneSeq, to: LaneSeq) -> PositionMove {
    PositionMove {
        source: lane.clone(),
        epoch,
        from,
        to,
        last_id: Some(EventId(Uuid::from_u128(u128::from(to)))),
        next_offset: i64::try_from(to).unwrap() * 2 + 1,
    }
}

pub(crate) fn moves(positions: Vec<PositionMove>) -> Append {
    Append { positions, ..Append::default() }
}

pub(crate) fn parked(lane: &SourceLane, id: &str, key: &str, seq: LaneSeq) -> HeldMessage {
    HeldMessage {
        source: lane.clone(),
        id: id.into(),
        key: key.into(),
        seq,
        offset: i64::try_from(seq).unwrap(),
        event_type: "ORDER_CREATED".into(),
        saga: Some("a saga".into()),
        headers: Bytes::from_static(br#"{"ce_id":"1"}"#),
        payload: Bytes::from_static(b"\x00\xff not json"),
        state: HeldState::Parked,
        attempts: 1,
        held_at: Timestamp(100 + i64::try_from(seq).unwrap()),
        next_at: Timestamp(2000),
        reason: "the bank is closed: später".into(),
    }
}

/// Appends until it is not [`AppendError::Unavailable`]: a store may be busy.
pub(crate) async fn patient(
    store: &dyn EventStore,
    append: &Append,
) -> Result<Appended, AppendError> {
    let since = Instant::now();
    loop {
        match store.append(append).await {
            Err(AppendError::Unavailable(_)) if since.elapsed() < DEADLINE => {
                tokio::task::yield_now().await;
            }
            other => return other,
        }
    }
}

macro_rules! assert_fails {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            other => panic!("expected {}, got {other:?}", stringify!($pattern $(if $guard)?)),
        }
    };
}
pub(crate) use assert_fails;

/// In order: stores may name what failed in any.
pub(crate) fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort();
    items
}
