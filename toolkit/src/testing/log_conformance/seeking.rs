//! Seek, pause, and a `next` that is dropped.

use std::time::Duration;

use super::{
    LogUnderTest,
    ground::{Ground, records, unique, values},
};

fn ten() -> impl Iterator<Item = String> {
    (0..10).map(|n| n.to_string())
}

/// An assignment brings nothing by itself.
pub async fn nothing_comes_from_a_lane_before_its_seek(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    ground.publish([records(0, ten()), records(1, ten())].concat()).await;
    let mut reader = ground.idle_reader(2).await;
    reader.seek(&ground.lane(1), 0).await;
    ground.until("lane 1", &mut reader, |reader| reader.records.len() == 10).await;
    assert_eq!(reader.of(&ground.lane(1)).len(), 10, "lane 0 came without a seek");
    reader.seek(&ground.lane(0), 0).await;
    ground.until("lane 0", &mut reader, |reader| reader.records.len() == 20).await;
    assert_eq!(values(reader.of(&ground.lane(0))), ten().collect::<Vec<_>>());
}

/// From the offset of a record that it had before, exactly.
pub async fn a_seek_back_brings_the_same_records_again(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, ten())).await;
    let mut reader = ground.join(&unique("group")).await;
    ground.until("the records", &mut reader, |reader| reader.records.len() == 10).await;
    let sixth = reader.records[6].offset;
    reader.seek(&ground.lane(0), sixth).await;
    ground.until("them again", &mut reader, |reader| reader.records.len() == 14).await;
    assert_eq!(reader.records[6..10], reader.records[10..14]);
}

/// Retention has passed the place: what is left is read.
pub async fn a_seek_before_the_start_begins_at_the_start(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, ten())).await;
    let offset = ground.stable(0, 4).await.records[0].offset;
    if !under.delete_records_before(&ground.lane(0), offset).await {
        return;
    }
    assert_eq!(values(&ground.read(4).await), ["6", "7", "8", "9"]);
}

/// The offset is of another log, or this one lost its tail. To wait for that offset could pass over
/// records; what comes twice is harmless (P3).
pub async fn a_seek_beyond_the_end_begins_at_the_start(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, ten())).await;
    let mut reader = ground.idle_reader(1).await;
    reader.seek(&ground.lane(0), 1_000_000).await;
    ground.until("the records", &mut reader, |reader| reader.records.len() == 10).await;
    assert_eq!(values(&reader.records), ten().collect::<Vec<_>>());
}

/// Also what the client may have fetched already does not come.
pub async fn a_paused_lane_brings_nothing_until_its_seek(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let publisher = ground.publish([records(0, ten()), records(1, ten())].concat()).await;
    let mut reader = ground.join(&unique("group")).await;
    let of_lane_0 = |reader: &super::ground::Reader| reader.of(&ground.lane(0)).len();
    ground
        .in_time("a first record", async {
            while of_lane_0(&reader) == 0 {
                reader.step(1).await;
            }
        })
        .await;
    let before = of_lane_0(&reader);
    reader.subscription.pause(&ground.lane(0)).await.expect("a pause");
    publisher.publish([records(0, ten()), records(1, ten())].concat()).await.expect("a commit");
    let lane_1 = ground.lane(1);
    ground.until("all of lane 1", &mut reader, |reader| reader.of(&lane_1).len() == 20).await;
    assert_eq!(of_lane_0(&reader), before, "the lane is paused");

    let next = reader.of(&ground.lane(0))[before - 1].offset + 1;
    reader.seek(&ground.lane(0), next).await;
    ground.until("the rest", &mut reader, |reader| of_lane_0(reader) == 20).await;
    let expected: Vec<_> = ten().chain(ten()).collect();
    assert_eq!(values(reader.of(&ground.lane(0))), expected);
}

/// The asked number bounds a delivery.
pub async fn a_delivery_has_no_more_records_than_asked_for(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    ground.publish([records(0, ten()), records(1, ten())].concat()).await;
    let mut reader = ground.join(&unique("group")).await;
    ground
        .in_time("the records", async {
            while reader.records.len() < 20 {
                let before = reader.records.len();
                reader.step(3).await;
                assert!(reader.records.len() <= before + 3);
            }
        })
        .await;
}

/// However often it is dropped, each record comes once.
pub async fn a_dropped_next_loses_nothing(under: &dyn LogUnderTest) {
    const TRANSACTIONS: usize = 40;
    let ground = Ground::new(under, 2).await;
    let mut reader = ground.join(&unique("group")).await;
    let writing = async {
        let mut publisher = ground.publisher().await;
        for n in 0..TRANSACTIONS {
            let both = [records(0, [n.to_string()]), records(1, [n.to_string()])].concat();
            publisher = publisher.publish(both).await.expect("a commit");
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let mut impatience = 0;
        while reader.records.len() < 2 * TRANSACTIONS {
            impatience = (impatience + 100) % 2_000;
            let next = reader.subscription.next(3);
            if let Ok(delivery) =
                tokio::time::timeout(Duration::from_micros(impatience), next).await
            {
                reader.take(delivery.expect("a delivery")).await;
            }
        }
    };
    ground.in_time("the records", async { tokio::join!(writing, reading) }).await;
    let expected: Vec<_> = (0..TRANSACTIONS).map(|n| n.to_string()).collect();
    for lane in [ground.lane(0), ground.lane(1)] {
        assert_eq!(values(reader.of(&lane)), expected);
    }
}
