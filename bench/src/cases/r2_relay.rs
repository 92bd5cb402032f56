//! R2: the relay against a raw transactional producer.
//!
//! The engine's own relay publishes what stands in its store, which is in memory here: what is compared is
//! publishing, not reading. Both sides send records of the same bytes, headers included, to one partition.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use quadrille::{
    Service,
    engine::{Config, Engine},
    id::{EventId, Lane, SagaId, StreamId},
    log::{
        EventLog, NewRecord, TopicSpec,
        record::{ServiceIdentity, encode},
    },
    runtime::{Runtime, Timestamp},
    store::{
        Append, EventStore, NewEvent, Published, RecordedEvent, Registration, Route,
        memory::MemoryStore,
    },
};
use rdkafka::message::{Header, OwnedHeaders};
use uuid::Uuid;

use crate::{
    case::Case,
    context::Context,
    duel::Duel,
    figure::Target,
    meter::Run,
    raw::producer::{Producer, Record},
};

pub(crate) const CASE: Case = Case {
    name: "r2",
    what: "relay ÷ raw transactional produce of the same records; 100 and 1,000 a transaction",
    run: |context| Box::pin(run(context)),
};

const PAYLOAD: &[u8] = br#"{"order":"o-0000000000","account":"account-1234","amount":{"minor":123456,"currency":"EUR"},"lines":[{"sku":"sku-123","quantity":1,"price":{"minor":123456,"currency":"EUR"}}],"destination":"NL"}"#;

async fn run(context: &Context) -> Result<()> {
    for size in [100usize, 1_000] {
        let transactions = context.size(20, if size == 100 { 300 } else { 150 });
        let (kafka, topic) = (context.grounds.kafka.clone(), context.grounds.name());
        let log = context.grounds.log()?;
        let spec = TopicSpec { name: topic.as_str().into(), lanes: 1, record_bytes_max: 600_000 };
        log.ensure_topic(&spec).await?;
        let producer = tokio::task::block_in_place(|| Producer::open(&kafka, &topic, &topic))?;
        let duel = Duel::fight(
            context.rounds(),
            async |_| relay(context, size, transactions).await,
            async |_| tokio::task::block_in_place(|| raw(context, &producer, size, transactions)),
        )
        .await?;
        context.grounds.drop_topics(&[topic]).await?;
        let what = format!("relay ÷ raw transactional produce, {size} records");
        context.figure(duel.speed(&format!("r2.{size}"), &what, Target::AtLeast(0.95))?);
        tokio::task::block_in_place(|| drop(producer));
    }
    Ok(())
}

/// States nothing and handles nothing: only its relay is at work.
struct Quiet;

impl Service for Quiet {
    const NAME: &'static str = "bench";
    type Commands = ();
    type Handles = ();
    type Steps = ();
}

fn event(n: u64) -> RecordedEvent {
    let id = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(n));
    let key: Arc<str> = format!("o-{n:010}").into();
    RecordedEvent {
        id: EventId(id),
        stream: StreamId::from_stored(&format!("participation/{key}")),
        version: 1,
        event_type: "BILLED_ORDER".into(),
        payload: Bytes::from_static(PAYLOAD),
        saga: SagaId(id),
        causation: id.to_string(),
        time: Timestamp(1_700_000_000_000_000),
        trace: None,
        published: Some(Published { lane: Lane(0), lane_seq: n, key }),
    }
}

fn new_event(event: RecordedEvent) -> NewEvent {
    let route = event.published.map(|p| Route { lane: p.lane, key: p.key });
    NewEvent {
        id: event.id,
        stream: event.stream,
        version: event.version,
        event_type: event.event_type,
        payload: event.payload,
        saga: event.saga,
        causation: event.causation,
        time: event.time,
        trace: None,
        route,
    }
}

/// A store with enough events for the warm-up and for the transactions that count.
async fn store(events: u64) -> Result<Arc<MemoryStore>> {
    let store = Arc::new(MemoryStore::new(Runtime::tokio().clock));
    store.register(&Registration { service: Quiet::NAME.into(), lanes: 1, shards: 1 }).await?;
    let events: Vec<NewEvent> = (1..=events).map(|n| new_event(event(n))).collect();
    let reads = events.iter().map(|event| (event.stream.clone(), 0)).collect();
    let append =
        Append { cause: Some(Runtime::tokio().new_cause_id()), reads, events, ..Append::default() };
    store.append(&append).await?;
    Ok(store)
}

async fn relay(context: &Context, size: usize, transactions: u64) -> Result<Run> {
    let warm_up = (transactions / 4).max(4) * size as u64;
    let all = warm_up + transactions * size as u64;
    let store = store(all).await?;
    let mut config = Config::new(context.grounds.name());
    config.lanes = 1;
    config.limits.relay_records_max = size;
    let topic = config.topic_of(Quiet::NAME);
    let log = Arc::new(context.grounds.log()?);
    let running = Engine::new(Quiet, store, log, config).start().await?;
    let published = || running.client().counters().events_published;
    until(|| published() >= warm_up).await?;
    let (meter, before) = (context.meter(), published());
    until(|| published() >= all).await?;
    let run = meter.stop(all - before);
    let counters = running.client().counters();
    ensure!(
        counters.events_published / counters.relay_rounds.max(1) == size as u64,
        "{counters:?}"
    );
    ensure!(running.shutdown(Duration::from_secs(10)).await, "the relay did not drain");
    context.grounds.drop_topics(&[topic]).await?;
    Ok(run)
}

/// What the relay has published is read often enough that the last look costs nothing.
async fn until(condition: impl Fn() -> bool) -> Result<()> {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !condition() {
        ensure!(std::time::Instant::now() < deadline, "the relay stands still");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn raw(context: &Context, producer: &Producer, size: usize, transactions: u64) -> Result<Run> {
    let identity = ServiceIdentity::new(Quiet::NAME);
    let size = size as u64;
    let records: Vec<NewRecord> =
        (1..=transactions * size).filter_map(|n| encode(&identity, &event(n))).collect();
    let warm_up = records.chunks(usize::try_from(size)?).take(4);
    for round in warm_up {
        producer.publish(round.iter().map(record))?;
    }
    let meter = context.meter();
    for round in records.chunks(usize::try_from(size)?) {
        producer.publish(round.iter().map(record))?;
    }
    Ok(meter.stop(transactions * size))
}

fn record(record: &NewRecord) -> Record<'_> {
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record.headers.iter().fold(empty, |headers, header| {
        headers.insert(Header { key: header.name, value: Some(header.value) })
    });
    Record {
        partition: 0,
        key: &record.key,
        payload: &record.value,
        headers,
        time: record.time.0 / 1_000,
    }
}
