//! Epochs: who is fenced writes nothing, and who comes after finds a stable tail.

use super::{
    LogUnderTest,
    ground::{ALL, Ground, records, unique, values},
};

/// The former publisher of an id learns that it is fenced, and nothing of what it tried is visible.
pub async fn p09_a_fenced_publisher_writes_nothing(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let old = ground.publish(records(0, ["1".to_owned()])).await;
    let new = ground.publisher().await;
    let doubt = old.publish(records(0, ["zombie".to_owned()])).await.expect_err("fenced");
    assert!(doubt.fenced, "{doubt}");
    new.publish(records(0, ["2".to_owned()])).await.expect("the new one is not fenced");
    assert_eq!(values(&ground.stable(0, ALL).await.records), ["1", "2"]);
    assert_eq!(values(&ground.read(2).await), ["1", "2"]);
}

/// The epoch belongs to the id: lanes that the new publisher never touched are closed as well.
pub async fn p09_fencing_reaches_every_lane_of_the_id(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let old = ground.publisher().await;
    ground.publish(records(0, ["new".to_owned()])).await;
    let doubt = old.publish(records(1, ["zombie".to_owned()])).await.expect_err("fenced");
    assert!(doubt.fenced, "{doubt}");
    assert_eq!(ground.stable(1, ALL).await.records, []);
}

/// What a crashed publisher left open is never seen, and holds nobody up.
pub async fn p07_a_new_publisher_aborts_what_its_predecessor_left_open(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let mut left = records(0, (0..20).map(|n| format!("lost {n}")));
    left.extend(records(1, ["lost".to_owned()]));
    if !under.leave_open(&ground.id, &ground.topic, left).await {
        return;
    }
    let publisher = ground.publisher().await;
    for lane in [0, 1] {
        let back = ground.stable(lane, ALL).await;
        assert_eq!(back.records, [], "aborted records must not be seen");
        assert!(back.end_offset > 0, "aborted records take offsets");
    }
    publisher.publish(records(0, ["kept".to_owned()])).await.expect("a commit");
    assert_eq!(values(&ground.read(1).await), ["kept"]);
}

/// Again and again a doubt, and each time the tail says exactly what was committed.
pub async fn p07_after_a_doubt_the_tail_is_stable_and_tells_what_was_committed(
    under: &dyn LogUnderTest,
) {
    let ground = Ground::new(under, 1).await;
    let mut expected = vec![];
    for round in 0..4 {
        let old = ground.publish(records(0, [format!("kept {round}")])).await;
        expected.push(format!("kept {round}"));
        let new = ground.publisher().await;
        let doubt = old.publish(records(0, [format!("lost {round}")])).await;
        doubt.expect_err("the old publisher is fenced");
        drop(new);
        drop(ground.publisher().await);
        assert_eq!(values(&ground.stable(0, ALL).await.records), expected);
    }
}

/// Shards of one service write to one topic side by side.
pub async fn publishers_of_different_ids_do_not_fence_each_other(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let (mut a, mut b) =
        (ground.publisher_of(&unique("a")).await, ground.publisher_of(&unique("b")).await);
    for round in 0..3 {
        a = a.publish(records(0, [format!("a{round}")])).await.expect("a is not fenced");
        b = b.publish(records(1, [format!("b{round}")])).await.expect("b is not fenced");
    }
    assert_eq!(values(&ground.stable(0, ALL).await.records), ["a0", "a1", "a2"]);
    assert_eq!(values(&ground.stable(1, ALL).await.records), ["b0", "b1", "b2"]);
}
