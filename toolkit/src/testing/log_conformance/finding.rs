//! Looking a number up before a gap is called a loss (P3).

use super::{
    LogUnderTest,
    ground::{Ground, numbered, record},
};
use crate::{id::LaneSeq, log::Found};

async fn find(ground: &Ground<'_>, seq: LaneSeq) -> Found {
    let lane = ground.lane(0);
    ground.available("find", || ground.log().find(&lane, seq)).await
}

/// Publishes these numbers, three to a transaction.
async fn publish(ground: &Ground<'_>, numbers: impl IntoIterator<Item = LaneSeq>) {
    let numbers: Vec<_> = numbers.into_iter().collect();
    let mut publisher = ground.publisher().await;
    for some in numbers.chunks(3) {
        let records = some.iter().map(|seq| numbered(0, *seq)).collect();
        publisher = publisher.publish(records).await.expect("a commit");
    }
    ground.stable(0, 1).await;
}

/// Each number of a lane is found where it is.
pub async fn p03_find_gives_the_offset_of_a_number(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    publish(&ground, 1..=20).await;
    for record in ground.read(20).await {
        let seq = String::from_utf8_lossy(&record.value).parse().expect("a number");
        assert_eq!(find(&ground, seq).await, Found::At(record.offset), "number {seq}");
    }
}

/// A number that is missing in the middle, or not there yet, or in an empty lane.
pub async fn p03_find_tells_a_loss_from_a_number_that_is_there(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    assert_eq!(find(&ground, 1).await, Found::Missing { first: None });
    publish(&ground, (1..=20).filter(|seq| !(7..=9).contains(seq))).await;
    for seq in [7, 8, 9, 21, 1_000_000] {
        assert_eq!(find(&ground, seq).await, Found::Missing { first: Some(1) }, "number {seq}");
    }
    for seq in [1, 6, 10, 20] {
        assert!(matches!(find(&ground, seq).await, Found::At(_)), "number {seq}");
    }
}

/// An aborted number is not there; records without a number are passed over.
pub async fn p03_find_sees_neither_aborted_nor_foreign_records(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let foreign = under.produce_raw(&ground.topic, record(0, "theirs")).await;
    publish(&ground, 1..=3).await;
    if foreign {
        assert!(under.produce_raw(&ground.topic, record(0, "theirs")).await);
    }
    let aborted = vec![numbered(0, 4), numbered(0, 5)];
    if under.leave_open(&ground.id, &ground.topic, aborted).await {
        drop(ground.publisher().await);
        ground.stable(0, 1).await;
        assert_eq!(find(&ground, 4).await, Found::Missing { first: Some(1) });
    }
    publish(&ground, 4..=6).await;
    for seq in 1..=6 {
        assert!(matches!(find(&ground, seq).await, Found::At(_)), "number {seq}");
    }
}

/// After retention: what is gone is missing, and the first number that is left is known.
pub async fn p03_find_knows_where_a_shortened_lane_starts(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    publish(&ground, 1..=10).await;
    let Found::At(offset) = find(&ground, 6).await else { panic!("number 6 is there") };
    if !under.delete_records_before(&ground.lane(0), offset).await {
        return;
    }
    assert_eq!(find(&ground, 5).await, Found::Missing { first: Some(6) });
    assert_eq!(find(&ground, 6).await, Found::At(offset));
}
