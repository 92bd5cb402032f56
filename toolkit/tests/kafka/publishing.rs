//! Doubts, and the traps of transactions.

use std::time::Instant;

use bytes::Bytes;
use quadrille::log::LogRecord;

use super::*;

fn values(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8_lossy(&r.value).into_owned()).collect()
}

/// The first record of the transaction is on its way when the second is refused: neither is ever seen, and
/// a new epoch goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p07_a_record_that_is_too_large_puts_its_transaction_in_doubt() {
    let log = connect().await.log();
    let (topic, id) = (topic(&log, 1).await, unique("id"));
    let lane = SourceLane::new(topic.clone(), Lane(0));
    let huge = NewRecord { value: Bytes::from(vec![b'x'; 2_000_000]), ..numbered(0, 2) };
    let refused = publisher(&log, &id, &topic).await.publish(vec![numbered(0, 1), huge]).await;
    let doubt = refused.expect_err("it is larger than the topic allows");
    assert!(!doubt.fenced, "{doubt}");
    assert!(doubt.reason.contains("large"), "{doubt}");

    let next = publisher(&log, &id, &topic).await;
    let back = log.read_back(&lane, 10).await.expect("a tail");
    assert!(back.stable, "a new epoch ends what the former left open");
    assert_eq!(back.records, []);
    next.publish(vec![numbered(0, 1)]).await.expect("a commit");
    let back = log.read_back(&lane, 10).await.expect("a tail");
    assert_eq!(values(&back.records), ["1"]);
}

/// The broker of the new topic has never heard of the producer, and takes what comes: the offsets tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p07_a_topic_that_is_made_again_puts_the_next_transaction_in_doubt() {
    let cluster = connect().await;
    let log = cluster.log();
    let (spec, id) = (spec(&unique("again"), 1), unique("id"));
    let lane = SourceLane::new(spec.name.clone(), Lane(0));
    log.ensure_topic(&spec).await.expect("a new topic");
    let writer = publisher(&log, &id, &spec.name).await;
    let writer = writer.publish(vec![numbered(0, 1)]).await.expect("a commit");
    cluster.delete_topic(&spec.name).await;
    until_gone(&log, &spec.name).await;
    log.ensure_topic(&spec).await.expect("a new topic");

    let doubt = writer.publish(vec![numbered(0, 2)]).await.expect_err("1 is gone");
    assert!(!doubt.fenced, "{doubt}");
    assert!(doubt.reason.contains("made again"), "{doubt}");
    let next = publisher(&log, &id, &spec.name).await;
    let back = log.read_back(&lane, 10).await.expect("a tail");
    assert!(back.stable);
    assert_eq!(values(&back.records), [""; 0]);
    next.publish(vec![numbered(0, 1)]).await.expect("a commit");
}

/// The commit of rdkafka polls in slices of 100 ms while a record is in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_does_not_wait_for_a_polling_slice() {
    let log = connect().await.log();
    let topic = topic(&log, 1).await;
    let mut publisher = publisher(&log, &unique("id"), &topic).await;
    let mut took = vec![];
    for seq in 1..=31 {
        let start = Instant::now();
        publisher = publisher.publish(vec![numbered(0, seq)]).await.expect("a commit");
        took.push(start.elapsed());
    }
    took.sort();
    assert!(took[took.len() / 2] < Duration::from_millis(80), "{took:?}");
}

/// Dropping a producer takes a while, but not on the thread of who drops it.
#[tokio::test(flavor = "current_thread")]
async fn dropping_a_publisher_or_a_subscription_blocks_nobody() {
    let log = connect().await.log();
    let topic = topic(&log, 1).await;
    let published =
        publisher(&log, &unique("id"), &topic).await.publish(vec![numbered(0, 1)]).await;
    let publisher = published.expect("a commit");
    let subscription = log.subscribe(&unique("group"), &[topic]).await.expect("a member");
    let start = Instant::now();
    drop(publisher);
    drop(subscription);
    assert!(start.elapsed() < Duration::from_millis(20), "{:?}", start.elapsed());
}

/// Nobody listens there: every question ends in time, and says that it may be answered later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_not_there_is_unavailable() {
    let mut config = KafkaConfig::new("127.0.0.1:1");
    config.limits.request_timeout = Duration::from_millis(300);
    config.limits.init_timeout = Duration::from_millis(300);
    let log = KafkaLog::new(config).expect("a good configuration");
    let lane = SourceLane::new("t", Lane(0));
    let errors = async {
        [
            log.ensure_topic(&spec("t", 1)).await.err(),
            log.lanes_of("t").await.err(),
            log.publisher("id", "t").await.err(),
            log.read_back(&lane, 1).await.err(),
            log.find(&lane, 1).await.err(),
        ]
    };
    let errors = tokio::time::timeout(DEADLINE, errors).await.expect("answers in time");
    for error in errors {
        assert!(matches!(error, Some(LogError::Unavailable(_))), "{error:?}");
    }
}
