//! Topics as they are made, and what tells them apart.

use super::*;

async fn refused(log: &KafkaLog, spec: &TopicSpec) -> String {
    match log.ensure_topic(spec).await {
        Err(LogError::Mismatch { reason, .. }) => reason,
        other => panic!("{spec:?} must be refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_made_as_the_service_needs_it() {
    let cluster = connect().await;
    let mut config = cluster.config();
    config.topics.retention = Some(Duration::from_secs(3 * 24 * 3600));
    config.topics.min_insync = Some(1);
    let log = KafkaLog::new(config).expect("a good configuration");
    let spec = TopicSpec { record_bytes_max: 3_000_000, ..spec(&unique("made"), 5) };
    log.ensure_topic(&spec).await.expect("a new topic");
    assert_eq!(log.lanes_of(&spec.name).await.expect("its partitions"), 5);
    let settings = cluster.settings(&spec.name).await;
    assert_eq!(settings["cleanup.policy"], "delete");
    assert_eq!(settings["retention.ms"], "259200000");
    assert_eq!(settings["min.insync.replicas"], "1");
    assert!(settings["max.message.bytes"].parse::<usize>().expect("a number") > 3_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_does_not_fit_is_said_at_once() {
    let cluster = connect().await;
    let spec = spec(&unique("misfit"), 2);
    let settings = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "60000"),
        ("retention.bytes", "1000000"),
        ("max.message.bytes", "10000"),
    ];
    cluster.make_topic(&spec, &settings).await;
    let reason = refused(&cluster.log(), &TopicSpec { lanes: 3, ..spec }).await;
    for (name, _) in settings {
        assert!(reason.contains(name), "{name} is missing: {reason}");
    }
    assert!(reason.contains("2 partitions"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_not_there_may_come_later() {
    let log = connect().await.log();
    let name = unique("missing");
    for _ in 0..2 {
        let error = log.lanes_of(&name).await.expect_err("no such topic");
        assert!(matches!(error, LogError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains(&name), "{error}");
    }
}

/// The name is the same, and so may be every offset: the id is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_a_topic_made_again_has_another_id() {
    let cluster = connect().await;
    let log = cluster.log();
    let spec = spec(&unique("again"), 1);
    let lane = SourceLane::new(spec.name.clone(), Lane(0));
    let mut ids = vec![];
    for _ in 0..3 {
        log.ensure_topic(&spec).await.expect("a new topic");
        let id = log.read_back(&lane, 1).await.expect("a tail").topic_id;
        assert_eq!(log.read_back(&lane, 1).await.expect("a tail").topic_id, id);
        // Another client is told the same.
        assert_eq!(cluster.log().read_back(&lane, 1).await.expect("a tail").topic_id, id);
        assert!(!ids.contains(&id), "{id} comes a second time: {ids:?}");
        ids.push(id);
        cluster.delete_topic(&spec.name).await;
        until_gone(&log, &spec.name).await;
    }
}
