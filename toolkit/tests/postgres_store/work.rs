//! What the tests write.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quadrille::{
    id::{AgendaId, CauseId, EventId, Lane, SagaId, SourceLane, StreamId, Version},
    runtime::{Runtime, Timestamp},
    store::{
        AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AgendaState, Answer, Append, Claim,
        Claimed, EventStore, Gap, HeldChange, HeldMessage, HeldState, NewEvent, NewSnapshot,
        PositionMove, Registration, Route, StartAt, StreamRead,
    },
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

pub(crate) const LANES: u32 = 3;
/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn source() -> SourceLane {
    SourceLane::new("demo.order.events", Lane(0))
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new("account", &name).unwrap()
}

/// Registers, and claims the one source lane; gives the epoch.
pub(crate) async fn begin(store: &dyn EventStore) -> u64 {
    let registration = Registration { service: "payment".into(), lanes: LANES, shards: 1 };
    store.register(&registration).await.unwrap();
    let claim = Claim {
        lanes: vec![source()],
        consumes: vec!["ORDER_CREATED".into()],
        start: StartAt::First,
        held_max: 10,
    };
    match store.claim(&claim).await.unwrap().remove(0) {
        Claimed::Owned { epoch, .. } => epoch,
        refused @ Claimed::Refused { .. } => panic!("{refused:?}"),
    }
}

/// A public event.
pub(crate) fn event(stream: &StreamId, version: Version, lane: u32) -> NewEvent {
    let runtime = Runtime::tokio();
    NewEvent {
        id: runtime.new_event_id(),
        stream: stream.clone(),
        version,
        event_type: "CAPTURED".into(),
        payload: Bytes::from_static(b"{}"),
        saga: SagaId(runtime.new_uuid()),
        causation: "a test".into(),
        time: Timestamp(1),
        trace: None,
        route: Some(Route { lane: Lane(lane), key: "k".into() }),
    }
}

pub(crate) fn new_cause() -> CauseId {
    Runtime::tokio().new_cause_id()
}

/// Events to new streams, one each.
pub(crate) fn append(names: &[&str], lanes: &[u32]) -> Append {
    let streams = names.iter().map(|name| stream(name));
    let events: Vec<_> = streams.zip(lanes).map(|(s, lane)| event(&s, 1, *lane)).collect();
    Append {
        cause: Some(new_cause()),
        at: Timestamp(1),
        reads: events.iter().map(|event| (event.stream.clone(), 0)).collect(),
        events,
        ..Append::default()
    }
}

pub(crate) fn step(epoch: u64, from: u64, to: u64) -> PositionMove {
    let last_id = Some(EventId(Runtime::tokio().new_uuid()));
    PositionMove { source: source(), epoch, from, to, last_id, next_offset: 9 }
}

/// A held message of the source lane.
pub(crate) fn message(state: HeldState) -> HeldMessage {
    HeldMessage {
        source: source(),
        id: "m".into(),
        key: "k".into(),
        seq: 1,
        offset: 1,
        event_type: "ORDER_CREATED".into(),
        saga: None,
        headers: Bytes::from_static(b"{}"),
        payload: Bytes::from_static(b"{}"),
        state,
        attempts: 1,
        held_at: Timestamp(1),
        next_at: Timestamp(2),
        reason: "closed".into(),
    }
}

/// An append with something of everything.
pub(crate) fn whole(epoch: u64) -> Append {
    let mut whole = append(&["whole"], &[1]);
    let message = message(HeldState::Parked);
    whole.positions.push(step(epoch, 0, 1));
    whole.answers.push(Answer { cause: new_cause(), body: Bytes::from_static(b"yes") });
    whole.held.push(HeldChange::Hold(Box::new(message)));
    whole.held.push(HeldChange::Release { source: source(), id: "m".into(), attempts: 1 });
    whole.gaps.push(Gap { source: source(), from: 1, to: 2 });
    whole.agenda.push(AgendaChange::Put(Box::new(item(AgendaKind::Deadline, 1))));
    whole.agenda.push(AgendaChange::Put(Box::new(item(AgendaKind::Effect, 1))));
    whole.snapshots.push(NewSnapshot {
        stream: stream("whole"),
        version: 1,
        snapshot_version: 1,
        state: Bytes::from_static(b"{}"),
    });
    whole
}

/// An item of the agenda; its name is that of its kind.
pub(crate) fn item(kind: AgendaKind, due: i64) -> AgendaItem {
    let runtime = Runtime::tokio();
    AgendaItem {
        id: AgendaId(runtime.new_uuid()),
        kind,
        name: kind.name().into(),
        key: "k".into(),
        saga: SagaId(runtime.new_uuid()),
        causation: "a test".into(),
        trace: None,
        payload: Bytes::from_static(b"{}"),
        set_at: Timestamp(1),
        due: Timestamp(due),
        state: AgendaState::Pending,
        attempts: 0,
        begun: false,
        outcome: None,
        reason: String::new(),
        token: runtime.new_uuid(),
    }
}

/// Claims, for an hour.
pub(crate) async fn take(
    store: &dyn EventStore,
    kind: AgendaKind,
    limit: usize,
) -> Vec<AgendaItem> {
    let claim = AgendaClaim {
        kind,
        names: vec![kind.name().into(), "another".into()],
        now: Timestamp(1_000),
        token: Runtime::tokio().new_uuid(),
        lease: Duration::from_secs(3600),
        limit,
    };
    store.claim_agenda(&claim).await.unwrap()
}

/// Ends what was claimed: the first is done, the others are tried again a little later.
pub(crate) fn ends(items: &[AgendaItem]) -> Append {
    let end = |(n, item): (usize, &AgendaItem)| match n {
        0 => AgendaChange::Done { id: item.id, token: item.token },
        _ => AgendaChange::Update {
            id: item.id,
            token: item.token,
            due: Timestamp(item.due.0 + 1),
            state: AgendaState::Pending,
            attempts: 1,
            begun: true,
            outcome: Some(Bytes::from_static(b"{}")),
            reason: "closed".into(),
        },
    };
    let agenda = items.iter().enumerate().map(end).collect();
    Append { cause: Some(new_cause()), agenda, ..Append::default() }
}

pub(crate) async fn head(store: &dyn EventStore, name: &str) -> Version {
    let read = StreamRead { stream: stream(name), snapshot_version: 1 };
    store.load(&[read]).await.unwrap().remove(0).version
}

/// Asks the server until a query says true.
pub(crate) async fn until(connection: &mut PgConnection, sql: &str) {
    let since = Instant::now();
    loop {
        let asked = AssertSqlSafe(format!("SELECT {sql}"));
        let row = sqlx::raw_sql(asked).fetch_all(&mut *connection).await.unwrap().remove(0);
        if row.try_get(0).unwrap() {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "never: {sql}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
