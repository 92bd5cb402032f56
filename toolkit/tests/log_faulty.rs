//! The scripted faults do what they say.
#![cfg(feature = "testing")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use quadrille::{
    id::{Lane, SourceLane},
    log::{
        Delivery, EventLog, LogError, LogRecord, NewRecord, Subscription, TopicSpec,
        memory::MemoryLog,
    },
    runtime::Timestamp,
    testing::faulty_log::{FaultCounts, FaultyLog, PublishFault},
};

const TOPIC: &str = "shop.order.events";

fn lane(lane: u32) -> SourceLane {
    SourceLane::new(TOPIC, Lane(lane))
}

fn record(lane: u32, value: u32) -> NewRecord {
    NewRecord {
        lane: Lane(lane),
        key: Bytes::new(),
        value: value.to_string().into(),
        headers: quadrille::log::Headers::default(),
        time: Timestamp(0),
    }
}

async fn log() -> FaultyLog<MemoryLog> {
    let log = FaultyLog::new(MemoryLog::default());
    let spec = TopicSpec { name: TOPIC.into(), lanes: 2, record_bytes_max: 1000 };
    log.ensure_topic(&spec).await.unwrap();
    log
}

async fn publish(log: &FaultyLog<MemoryLog>, records: Vec<NewRecord>) {
    log.publisher("id", TOPIC).await.unwrap().publish(records).await.unwrap();
}

async fn visible(log: &FaultyLog<MemoryLog>) -> Vec<String> {
    values(&log.inner().read_back(&lane(0), usize::MAX).await.unwrap().records)
}

fn values(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8(r.value.to_vec()).unwrap()).collect()
}

async fn records(subscription: &mut Box<dyn Subscription>) -> Vec<String> {
    let deadline = Duration::from_secs(20);
    match tokio::time::timeout(deadline, subscription.next(100)).await.unwrap().unwrap() {
        Delivery::Records(records) => values(&records),
        other => panic!("{other:?}"),
    }
}

async fn reader(log: &FaultyLog<MemoryLog>) -> Box<dyn Subscription> {
    let mut subscription = log.subscribe("group", &[Arc::from(TOPIC)]).await.unwrap();
    assert!(matches!(subscription.next(1).await.unwrap(), Delivery::Assigned(_)));
    for number in [0, 1] {
        subscription.seek(&lane(number), 0).await.unwrap();
    }
    subscription
}

#[tokio::test]
async fn each_doubt_is_what_it_says() {
    let log = log().await;
    let script = [
        (PublishFault::None, None, true),
        (PublishFault::DoubtCommitted, Some(false), true),
        (PublishFault::DoubtLost, Some(false), false),
        (PublishFault::Fenced, Some(true), false),
    ];
    log.next_publishes(script.map(|(fault, ..)| fault));
    let mut expected = Vec::new();
    for (number, (fault, fenced, committed)) in (0..).zip(script) {
        let publisher = log.publisher("id", TOPIC).await.unwrap();
        let result = publisher.publish(vec![record(0, number)]).await;
        assert_eq!(result.err().map(|doubt| doubt.fenced), fenced, "{fault:?}");
        if committed {
            expected.push(number.to_string());
        }
        assert_eq!(visible(&log).await, expected, "{fault:?}");
    }
    publish(&log, vec![record(0, 9)]).await;
    let counts = FaultCounts {
        publishes: 5,
        doubts_committed: 1,
        doubts_lost: 1,
        fenced: 1,
        ..FaultCounts::default()
    };
    assert_eq!(log.counts(), counts);
}

#[tokio::test]
async fn it_is_unavailable_as_often_as_told() {
    let log = log().await;
    log.publishers_unavailable(2);
    log.read_backs_unavailable(1);
    log.finds_unavailable(1);
    for _ in 0..2 {
        assert!(matches!(log.publisher("id", TOPIC).await, Err(LogError::Unavailable(_))));
    }
    assert!(log.publisher("id", TOPIC).await.is_ok());
    assert!(matches!(log.read_back(&lane(0), 1).await, Err(LogError::Unavailable(_))));
    assert!(log.read_back(&lane(0), 1).await.is_ok());
    assert!(matches!(log.find(&lane(0), 1).await, Err(LogError::Unavailable(_))));
    assert!(log.find(&lane(0), 1).await.is_ok());
    assert_eq!(log.counts().unavailable, 4);
}

#[tokio::test]
async fn a_range_is_delivered_again_also_to_one_who_waits() {
    let log = log().await;
    publish(&log, (0..5).map(|n| record(0, n)).collect()).await;
    let mut reader = reader(&log).await;
    assert_eq!(records(&mut reader).await, ["0", "1", "2", "3", "4"]);
    let ask = async {
        tokio::task::yield_now().await;
        log.redeliver(&lane(0), 1, 3);
    };
    let (again, ()) = tokio::join!(records(&mut reader), ask);
    assert_eq!(again, ["1", "2"]);
    assert_eq!(log.counts().redelivered, 2);
}

#[tokio::test]
async fn a_held_lane_goes_on_where_it_stopped() {
    let log = log().await;
    let mut reader = reader(&log).await;
    log.hold(&lane(0));
    publish(&log, vec![record(0, 1), record(1, 10)]).await;
    assert_eq!(records(&mut reader).await, ["10"]);
    publish(&log, vec![record(0, 2), record(1, 11)]).await;
    assert_eq!(records(&mut reader).await, ["11"]);
    let release = async {
        tokio::task::yield_now().await;
        log.release(&lane(0));
    };
    let (held, ()) = tokio::join!(records(&mut reader), release);
    assert_eq!(held, ["1", "2"]);
    assert_eq!(log.counts().held, 1);
}
