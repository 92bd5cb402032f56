//! The tail of a lane: where a relay goes on (P6).

use super::{
    LogUnderTest,
    ground::{ALL, Ground, record, records, values},
};

/// The last ones, oldest first, over the bounds of transactions.
pub async fn p06_read_back_gives_the_last_records_oldest_first(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let mut publisher = ground.publisher().await;
    for n in 0..10 {
        let mut both = records(0, [format!("{n}")]);
        both.extend(records(1, [format!("other {n}")]));
        publisher = publisher.publish(both).await.expect("a commit");
    }
    let back = ground.stable(0, 3).await;
    assert_eq!(values(&back.records), ["7", "8", "9"]);
    assert!(!back.from_start, "there are seven more");
    assert!(back.records.iter().all(|r| r.source == ground.lane(0)));
    assert!(back.end_offset > back.records[2].offset);
    let one = ground.stable(0, 1).await;
    assert_eq!((values(&one.records), one.end_offset), (vec!["9".to_owned()], back.end_offset));
}

/// Fewer than asked for, and exactly as many.
pub async fn p06_read_back_gives_all_when_there_are_fewer(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, (0..5).map(|n| n.to_string()))).await;
    let back = ground.stable(0, 6).await;
    assert_eq!(values(&back.records), ["0", "1", "2", "3", "4"]);
    assert!(back.from_start, "there is nothing before them");
    // Here a log may not know that nothing lies before them.
    assert_eq!(ground.stable(0, 5).await.records, back.records);
}

/// Nothing was ever written: no records, from the start, end 0, stable.
pub async fn p06_read_back_of_an_empty_lane_says_so(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let back = ground.back(0, 3).await;
    assert_eq!(back.records, []);
    assert!(back.from_start && back.stable);
    assert_eq!(back.end_offset, 0);
}

/// A long run of aborted records and marks at the end hides nothing.
pub async fn p06_read_back_passes_over_marks_and_aborted_records(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, (0..4).map(|n| n.to_string()))).await;
    for _ in 0..3 {
        let lost = records(0, (0..60).map(|n| format!("lost {n}")));
        if !under.leave_open(&ground.id, &ground.topic, lost).await {
            return;
        }
        drop(ground.publisher().await);
    }
    let back = ground.stable(0, 2).await;
    assert_eq!(values(&back.records), ["2", "3"]);
    assert!(!back.from_start);
    assert!(back.end_offset >= 180, "aborted records take offsets");
    let all = ground.stable(0, ALL).await;
    assert_eq!(values(&all.records), ["0", "1", "2", "3"]);
    assert!(all.from_start);
}

/// The relay reports a foreign record at the tail; so it must see it.
pub async fn p06_read_back_shows_foreign_records(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, ["ours".to_owned()])).await;
    if !under.produce_raw(&ground.topic, record(0, "theirs")).await {
        return;
    }
    assert_eq!(values(&ground.stable(0, 2).await.records), ["ours", "theirs"]);
    assert_eq!(values(&ground.read(2).await), ["ours", "theirs"]);
}

/// An empty lane whose end and topic are those of the floor is no new lane.
pub async fn p06_a_lane_emptied_by_retention_keeps_its_end_and_its_topic_id(
    under: &dyn LogUnderTest,
) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, (0..5).map(|n| n.to_string()))).await;
    let before = ground.stable(0, 5).await;
    let third = before.records[3].offset;
    if !under.delete_records_before(&ground.lane(0), third).await {
        return;
    }
    let shortened = ground.stable(0, 5).await;
    assert_eq!(values(&shortened.records), ["3", "4"]);
    assert!(shortened.from_start, "what was before them is gone");

    assert!(under.delete_records_before(&ground.lane(0), before.end_offset).await);
    let emptied = ground.stable(0, 5).await;
    assert_eq!(emptied.records, []);
    assert!(emptied.from_start);
    assert_eq!(emptied.end_offset, before.end_offset);
    assert_eq!(emptied.topic_id, before.topic_id);
}

/// The id is the topic's: the same for its lanes and at each look, and no other topic's.
pub async fn p06_topics_have_ids_of_their_own(under: &dyn LogUnderTest) {
    let (one, other) = (Ground::new(under, 2).await, Ground::new(under, 1).await);
    let id = one.back(0, 1).await.topic_id;
    one.publish(records(0, ["1".to_owned()])).await;
    assert_eq!(one.back(0, 1).await.topic_id, id);
    assert_eq!(one.back(1, 1).await.topic_id, id);
    assert_ne!(other.back(0, 1).await.topic_id, id);
}
