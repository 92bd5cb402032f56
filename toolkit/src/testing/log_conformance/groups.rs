//! Who reads which lanes.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    LogUnderTest,
    ground::{Ground, Reader, records, spec, unique, values},
};

const LANES: usize = 4;

/// Lets all members work until, together, they have each lane once, and none has nothing.
async fn settle(ground: &Ground<'_>, members: &mut [Reader]) {
    let settled = |members: &[Reader]| {
        let all: Vec<_> = members.iter().flat_map(|m| m.lanes.iter()).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        all.len() == LANES && distinct.len() == LANES && members.iter().all(|m| !m.lanes.is_empty())
    };
    let working = async {
        while !settled(members) {
            let steps = members.iter_mut().map(|member| Box::pin(member.subscription.next(10)));
            let (delivery, index, rest) = futures_util::future::select_all(steps).await;
            drop(rest);
            members[index].take(delivery.expect("a delivery")).await;
        }
    };
    ground.in_time("each lane with one member", working).await;
}

/// One, two and three members.
pub async fn a_group_covers_every_lane_exactly_once(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 4).await;
    for count in 1..=3 {
        let group = unique("group");
        let mut members = vec![];
        for _ in 0..count {
            members.push(ground.join(&group).await);
        }
        settle(&ground, &mut members).await;
        let most = members.iter().map(|member| member.lanes.len()).max();
        assert!(most <= Some(LANES.div_ceil(count)), "unfair: {most:?} of {LANES} for {count}");
    }
}

/// A member that comes gets some of the lanes, and when it is dropped, the other gets them back. Each
/// record is read by somebody.
pub async fn who_joins_gets_lanes_and_who_leaves_gives_them_back(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 4).await;
    let group = unique("group");
    let mut members = vec![ground.join(&group).await];
    settle(&ground, &mut members).await;
    members.push(ground.join(&group).await);
    settle(&ground, &mut members).await;

    drop(members.pop());
    settle(&ground, &mut members).await;
    let all = (0..4).flat_map(|lane| records(lane, [format!("{lane}")])).collect();
    ground.publish(all).await;
    let mut last = members.remove(0);
    ground.until("all lanes", &mut last, |reader| reader.records.len() >= LANES).await;
    let mut read = values(&last.records);
    read.sort();
    assert_eq!(read, ["0", "1", "2", "3"]);
}

/// Groups do not take records from each other.
pub async fn every_group_reads_everything(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    ground.publish(records(1, (0..10).map(|n| n.to_string()))).await;
    let (one, other) = (ground.read(10).await, ground.read(10).await);
    assert_eq!(one, other);
    assert_eq!(one.len(), 10);
}

/// Services start in any order: the topic of a later one is met when it is there.
pub async fn a_topic_made_after_subscribing_is_assigned(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let later: Arc<str> = unique("later").into();
    let topics = [Arc::clone(&ground.topic), Arc::clone(&later)];
    let mut reader = ground.join_topics(&unique("group"), &topics).await;
    ground.until("the first topic", &mut reader, |reader| reader.lanes.len() == 1).await;
    let later = Ground { under, topic: later, id: unique("id") };
    under.log().ensure_topic(&spec(&later.topic, 2)).await.expect("a new topic");
    later.publish(records(1, ["there".to_owned()])).await;
    ground.until("the later topic", &mut reader, |reader| !reader.records.is_empty()).await;
    assert_eq!(values(&reader.records), ["there"]);
    assert_eq!(reader.lanes.len(), 3);
}

/// It is for lag tools; where to read is said by a seek alone.
pub async fn p02_noted_progress_moves_nobody(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    ground.publish(records(0, (0..5).map(|n| n.to_string()))).await;
    let group = unique("group");
    let mut first = ground.join(&group).await;
    ground.until("the records", &mut first, |reader| reader.records.len() == 5).await;
    let end = ground.back(0, 1).await.end_offset;
    let noted = first.subscription.note_progress(&ground.lane(0), end).await;
    noted.expect("progress is noted");
    drop(first);
    let mut second = ground.join(&group).await;
    ground.until("the records again", &mut second, |reader| reader.records.len() == 5).await;
    assert_eq!(values(&second.records), ["0", "1", "2", "3", "4"]);
}
