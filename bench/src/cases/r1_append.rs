//! R1: the store's append against hand-written SQL.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use quadrille::{
    id::{CauseId, EventId, Lane, SourceLane, StreamId},
    runtime::{Runtime, Timestamp},
    store::{
        Append, Claim, Claimed, EventStore, NewEvent, PositionMove, Registration, Route, StartAt,
        postgres::PostgresStore,
    },
};
use uuid::Uuid;

use crate::{
    case::Case,
    context::Context,
    duel::Duel,
    figure::Target,
    grounds::Database,
    meter::Run,
    raw::sql::{Batch, Event, Move, Writer},
    stage::LANES,
};

pub(crate) const CASE: Case = Case {
    name: "r1",
    what: "append ÷ hand-written SQL with the same rows, ÷ a bare INSERT; batches of 1, 100, 500",
    run: |context| Box::pin(run(context)),
};

const TOPIC: &str = "bench.source.events";
/// As large as the story's events.
const PAYLOAD: &[u8] = br#"{"order":"o-0000000000","account":"account-1234","amount":{"minor":123456,"currency":"EUR"},"lines":[{"sku":"sku-123","quantity":1,"price":{"minor":123456,"currency":"EUR"}}],"destination":"NL"}"#;

async fn run(context: &Context) -> Result<()> {
    for batch in [1, 100, 500] {
        let target = |wanted| if batch == 100 { Target::AtLeast(wanted) } else { Target::None };
        let duel = fight(context, batch, true).await?;
        let what = format!("append ÷ hand SQL, batch {batch}");
        context.figure(duel.speed(&format!("r1.{batch}.sql"), &what, target(0.95))?);
        let duel = fight(context, batch, false).await?;
        let what = format!("append ÷ bare INSERT, batch {batch}");
        context.figure(duel.speed(&format!("r1.{batch}.insert"), &what, target(0.80))?);
    }
    Ok(())
}

/// The append against one with the same guarantees, or against a bare INSERT.
async fn fight(context: &Context, batch: usize, same: bool) -> Result<Duel> {
    let (ours, theirs) = (Ground::new(context).await?, Ground::new(context).await?);
    let (mut toolkit, mut hand) = (Toolkit::new(&ours), Hand::new(&theirs).await?);
    let time = context.turn();
    let duel = Duel::fight(
        context.rounds(),
        async |_| toolkit.appends(context, batch, time).await,
        async |_| match same {
            true => hand.appends(context, batch, time, u64::MAX).await,
            false => hand.inserts(context, batch, time).await,
        },
    )
    .await?;
    drop(toolkit);
    ours.remove(context).await?;
    theirs.remove(context).await?;
    Ok(duel)
}

/// A database with a registered store that owns the lanes of one source.
pub(super) struct Ground {
    pub(super) database: Database,
    store: PostgresStore,
    epoch: u64,
}

impl Ground {
    pub(super) async fn new(context: &Context) -> Result<Self> {
        let database = context.grounds.database().await?;
        let store = PostgresStore::connect(&database.url).await?;
        let registration = Registration { service: "bench".into(), lanes: LANES, shards: 1 };
        store.register(&registration).await?;
        let lanes = (0..LANES).map(|lane| SourceLane { topic: TOPIC.into(), lane: Lane(lane) });
        let claim = Claim {
            lanes: lanes.collect(),
            consumes: vec!["T".into()],
            start: StartAt::First,
            held_max: 10,
        };
        let claimed = store.claim(&claim).await?;
        let Some(Claimed::Owned { epoch, .. }) = claimed.into_iter().next() else {
            anyhow::bail!("the lanes are refused")
        };
        Ok(Self { database, store, epoch })
    }

    pub(super) async fn remove(self, context: &Context) -> Result<()> {
        drop(self.store);
        context.grounds.drop_database(&self.database).await
    }
}

/// Batches of new events, each caused by the next message of one of the lanes.
struct Maker {
    runtime: Runtime,
    epoch: u64,
    applied: [u64; LANES as usize],
    next: u64,
}

impl Maker {
    fn new(epoch: u64) -> Self {
        Self { runtime: Runtime::tokio(), epoch, applied: [0; LANES as usize], next: 0 }
    }

    fn append(&mut self, events: usize) -> Result<Append> {
        let (id, at) = (self.runtime.new_cause_id(), self.runtime.clock.now());
        let mut append = Append { cause: Some(id), at, ..Append::default() };
        let before = self.applied;
        let mut last = [None; LANES as usize];
        for _ in 0..events {
            let event = self.event(at)?;
            let lane = event.route.as_ref().map_or(0, |route| route.lane.0) as usize;
            self.applied[lane] += 1;
            last[lane] = Some(event.id);
            append.reads.push((event.stream.clone(), 0));
            append.events.push(event);
        }
        for (lane, (from, to)) in (0..).zip(before.into_iter().zip(self.applied)) {
            if to > from {
                append.positions.push(PositionMove {
                    source: SourceLane { topic: TOPIC.into(), lane: Lane(lane) },
                    epoch: self.epoch,
                    from,
                    to,
                    last_id: last[lane as usize],
                    next_offset: i64::try_from(to)?,
                });
            }
        }
        Ok(append)
    }

    fn event(&mut self, at: Timestamp) -> Result<NewEvent> {
        let n = self.next;
        self.next += 1;
        let key = format!("o-{n:010}");
        let lane = Lane(u32::try_from(n % u64::from(LANES))?);
        Ok(NewEvent {
            id: self.runtime.new_event_id(),
            stream: StreamId::new("participation", &key)?,
            version: 1,
            event_type: "BILLED_ORDER".into(),
            payload: bytes::Bytes::from_static(PAYLOAD),
            saga: self.runtime.new_saga_id(),
            causation: self.runtime.new_uuid().to_string(),
            time: at,
            trace: None,
            route: Some(Route { lane, key: key.into() }),
        })
    }
}

pub(super) struct Toolkit<'a> {
    store: &'a PostgresStore,
    maker: Maker,
    /// What each append does beside its events.
    beside: Box<dyn FnMut(&mut Append) + Send + 'a>,
}

impl<'a> Toolkit<'a> {
    pub(super) fn new(ground: &'a Ground) -> Self {
        Self { store: &ground.store, maker: Maker::new(ground.epoch), beside: Box::new(|_| {}) }
    }

    /// The same, and each append is changed by this before it is sent.
    pub(super) fn and(self, beside: impl FnMut(&mut Append) + Send + 'a) -> Self {
        Self { beside: Box::new(beside), ..self }
    }

    /// Appends for that long; only the appends themselves count.
    pub(super) async fn appends(
        &mut self,
        context: &Context,
        batch: usize,
        time: Duration,
    ) -> Result<Run> {
        let (mut items, mut spent) = (0, Duration::ZERO);
        let meter = context.meter();
        while meter.elapsed() < time {
            let mut append = self.maker.append(batch)?;
            (self.beside)(&mut append);
            let started = Instant::now();
            self.store.append(&append).await?;
            spent += started.elapsed();
            items += batch as u64;
        }
        Ok(Run { wall: spent, ..meter.stop(items) })
    }
}

pub(super) struct Hand {
    pub(super) writer: Writer,
    maker: Maker,
}

impl Hand {
    pub(super) async fn new(ground: &Ground) -> Result<Self> {
        let writer = Writer::connect(&ground.database.url).await?;
        Ok(Self { writer, maker: Maker::new(ground.epoch) })
    }

    /// Appends at least once, for that long or so many times.
    pub(super) async fn appends(
        &mut self,
        context: &Context,
        batch: usize,
        time: Duration,
        times: u64,
    ) -> Result<Run> {
        let (mut items, mut spent) = (0, Duration::ZERO);
        let meter = context.meter();
        while items == 0 || (meter.elapsed() < time && items < times) {
            let batch_made = by_hand(&self.maker.append(batch)?)?;
            let started = Instant::now();
            self.writer.append(&batch_made).await?;
            spent += started.elapsed();
            items += batch as u64;
        }
        Ok(Run { wall: spent, ..meter.stop(items) })
    }

    async fn inserts(&mut self, context: &Context, batch: usize, time: Duration) -> Result<Run> {
        let (mut items, mut spent) = (0, Duration::ZERO);
        let meter = context.meter();
        while meter.elapsed() < time {
            let first = i64::try_from(self.maker.next)?;
            let batch_made = by_hand(&self.maker.append(batch)?)?;
            let started = Instant::now();
            self.writer.insert(&batch_made.events, first).await?;
            spent += started.elapsed();
            items += batch as u64;
        }
        Ok(Run { wall: spent, ..meter.stop(items) })
    }
}

/// The same append, as the hand-written statement takes it.
fn by_hand(append: &Append) -> Result<Batch> {
    let signed = |n: u64| i64::try_from(n);
    let event = |event: &NewEvent| -> Result<Event> {
        let route = event.route.as_ref();
        Ok(Event {
            version: signed(event.version)?,
            time: event.time.0,
            lane: route.map(|route| i32::try_from(route.lane.0)).transpose()?,
            id: event.id.0,
            saga: event.saga.0,
            stream: event.stream.as_str().to_owned(),
            event_type: "BILLED_ORDER",
            causation: event.causation.clone(),
            key: route.map(|route| route.key.to_string()),
            trace: event.trace.clone(),
            payload: event.payload.to_vec(),
        })
    };
    let moved = |moved: &PositionMove| -> Result<Move> {
        Ok(Move {
            topic: moved.source.topic.to_string(),
            lane: i32::try_from(moved.source.lane.0)?,
            since: signed(moved.from)?,
            upto: signed(moved.to)?,
            id: moved.last_id.map_or(Uuid::nil(), |EventId(id)| id),
            next_offset: moved.next_offset,
        })
    };
    let CauseId(cause) = append.cause.context("no cause")?;
    let epoch = append.positions.first().map_or(0, |moved| moved.epoch);
    Ok(Batch {
        cause,
        at: append.at.0,
        epoch: signed(epoch)?,
        moves: append.positions.iter().map(moved).collect::<Result<_>>()?,
        events: append.events.iter().map(event).collect::<Result<_>>()?,
        ..Batch::default()
    })
}
