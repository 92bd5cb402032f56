//! Making topics, and refusing those that do not fit.

use super::{
    LogUnderTest,
    ground::{Ground, records, spec, unique, values},
};
use crate::log::{LogError, TopicSpec};

async fn refused(under: &dyn LogUnderTest, spec: &TopicSpec) -> String {
    match under.log().ensure_topic(spec).await {
        Err(LogError::Mismatch { topic, reason }) => {
            assert_eq!(topic, *spec.name);
            assert!(!reason.is_empty(), "the reason says what to change");
            reason
        }
        other => panic!("{spec:?} must be refused: {other:?}"),
    }
}

/// The second time it checks, and changes nothing.
pub async fn a_topic_is_made_once(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    ground.publish(records(1, ["kept".to_owned()])).await;
    let id = ground.stable(1, 1).await.topic_id;
    for _ in 0..2 {
        under.log().ensure_topic(&spec(&ground.topic, 2)).await.expect("it fits");
    }
    let back = ground.stable(1, 1).await;
    assert_eq!((values(&back.records), back.topic_id), (vec!["kept".to_owned()], id));
}

/// More and fewer: a key must stay in its lane.
pub async fn another_number_of_partitions_is_refused(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    for lanes in [1, 3] {
        let reason = refused(under, &spec(&ground.topic, lanes)).await;
        assert!(reason.contains('2'), "{reason}");
    }
}

/// A record that the service may write would not fit.
pub async fn a_topic_whose_records_are_too_small_is_refused(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let large = TopicSpec { record_bytes_max: 100_000_000, ..spec(&ground.topic, 1) };
    refused(under, &large).await;
}

/// Compaction would drop events.
pub async fn p06_a_compacted_topic_is_refused(under: &dyn LogUnderTest) {
    let spec = spec(&unique("compacted"), 1);
    if !under.make_compacted(&spec).await {
        return;
    }
    let reason = refused(under, &spec).await;
    assert!(reason.contains("compact"), "{reason}");
}
