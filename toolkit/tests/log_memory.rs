//! What only the in-memory log has: raw transactions, accidents, trimming.
#![cfg(feature = "testing")]

use std::{
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use quadrille::{
    id::{Lane, SourceLane},
    log::{
        Delivery, EventLog, LogError, LogRecord, NewRecord, Subscription, TopicSpec,
        memory::{
            MemoryLog, MemoryLogOptions, ProducerEpoch, PublishHook, PublishStep, Refused, StepFate,
        },
    },
    runtime::Timestamp,
};

const TOPIC: &str = "shop.order.events";
const DEADLINE: Duration = Duration::from_secs(20);

fn topic() -> Arc<str> {
    TOPIC.into()
}

fn lane(lane: u32) -> SourceLane {
    SourceLane::new(TOPIC, Lane(lane))
}

fn record(lane: u32, value: &str) -> NewRecord {
    NewRecord {
        lane: Lane(lane),
        key: Bytes::from_static(b"key"),
        value: Bytes::copy_from_slice(value.as_bytes()),
        headers: quadrille::log::Headers::default(),
        time: Timestamp(0),
    }
}

async fn log_with(options: MemoryLogOptions, lanes: u32) -> MemoryLog {
    let log = MemoryLog::new(options);
    let spec = TopicSpec { name: topic(), lanes, record_bytes_max: 100 };
    log.ensure_topic(&spec).await.unwrap();
    log
}

async fn log(lanes: u32) -> MemoryLog {
    log_with(MemoryLogOptions::default(), lanes).await
}

async fn visible(log: &MemoryLog, lane_number: u32) -> Vec<String> {
    values(&log.read_back(&lane(lane_number), usize::MAX).await.unwrap().records)
}

fn values(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8(r.value.to_vec()).unwrap()).collect()
}

async fn publish(log: &MemoryLog, lane: u32, values: &[&str]) {
    let records = values.iter().map(|value| record(lane, value)).collect();
    log.publisher("id", TOPIC).await.unwrap().publish(records).await.unwrap();
}

async fn next(subscription: &mut Box<dyn Subscription>, max: usize) -> Delivery {
    tokio::time::timeout(DEADLINE, subscription.next(max)).await.unwrap().unwrap()
}

/// Whether a reader has nothing to read now.
async fn quiet(subscription: &mut Box<dyn Subscription>) -> bool {
    let mut next = subscription.next(10);
    std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await
}

/// A member with all lanes, read from the start.
async fn reader(log: &MemoryLog, group: &str) -> Box<dyn Subscription> {
    let mut subscription = log.subscribe(group, &[topic()]).await.unwrap();
    let Delivery::Assigned(lanes) = next(&mut subscription, 1).await else { panic!() };
    for lane in lanes {
        subscription.seek(&lane, 0).await.unwrap();
    }
    subscription
}

/// Begins a transaction with one record and leaves it open.
fn open(log: &MemoryLog, producer: &ProducerEpoch, lane: u32, value: &str) {
    log.begin(producer, &topic(), &[Lane(lane)]).unwrap();
    log.produce(producer, &topic(), record(lane, value)).unwrap();
}

/// The counterexample of P7: with the same epoch, a late end tears the next transaction.
#[tokio::test]
async fn p07_a_late_end_of_the_same_epoch_tears_a_later_transaction() {
    let log = log(1).await;
    let producer = log.init_producer("id");
    open(&log, &producer, 0, "first");
    log.end(&producer, false).unwrap();
    open(&log, &producer, 0, "second, a part");
    log.end(&producer, true).expect("the late commit of the first ends the second");
    assert_eq!(visible(&log, 0).await, ["second, a part"]);
    let rest = log.produce(&producer, &topic(), record(0, "second, the rest"));
    assert!(matches!(rest, Err(Refused::State(_))), "{rest:?}");
}

/// And the rule: with a new epoch the late end is fenced and touches nothing.
#[tokio::test]
async fn p07_a_late_end_of_an_earlier_epoch_is_fenced() {
    let log = log(1).await;
    let old = log.init_producer("id");
    open(&log, &old, 0, "first");
    let new = log.init_producer("id");
    open(&log, &new, 0, "second");
    for commit in [true, false] {
        assert_eq!(log.end(&old, commit), Err(Refused::Fenced("id".into())));
    }
    assert_eq!(visible(&log, 0).await, [""; 0]);
    log.end(&new, true).unwrap();
    assert_eq!(visible(&log, 0).await, ["second"]);
}

#[tokio::test]
async fn a_repeated_end_gets_the_first_answer_and_no_other() {
    let log = log(1).await;
    let producer = log.init_producer("id");
    assert!(log.end(&producer, true).is_err(), "nothing was ever open");
    open(&log, &producer, 0, "1");
    log.end(&producer, true).unwrap();
    let end = log.bounds(&lane(0));
    log.end(&producer, true).unwrap();
    assert_eq!(log.bounds(&lane(0)), end, "no second mark");
    assert!(matches!(log.end(&producer, false), Err(Refused::State(_))));
    assert_eq!(visible(&log, 0).await, ["1"]);
}

/// A commit that was decided is finished by whoever comes next, in all its lanes.
#[tokio::test]
async fn p07_a_decided_commit_is_finished_by_the_next_producer() {
    let log = log(2).await;
    let old = log.init_producer("id");
    log.begin(&old, &topic(), &[Lane(0), Lane(1)]).unwrap();
    for lane in [0, 1] {
        log.produce(&old, &topic(), record(lane, "decided")).unwrap();
    }
    log.decide(&old, true).unwrap();
    assert!(log.end(&old, false).is_err(), "it cannot be changed any more");
    assert!(log.begin(&old, &topic(), &[Lane(0)]).is_err(), "it is not finished yet");
    assert!(!log.read_back(&lane(0), 1).await.unwrap().stable);
    let _ = log.init_producer("id");
    for lane_number in [0, 1] {
        assert_eq!(visible(&log, lane_number).await, ["decided"]);
        assert!(log.read_back(&lane(lane_number), 1).await.unwrap().stable);
    }
}

/// Loses one request or one answer of a transaction.
#[derive(Debug)]
struct Lose(Mutex<Option<(PublishStep, StepFate)>>);

#[async_trait]
impl PublishHook for Lose {
    async fn before(&self, _: &ProducerEpoch, step: PublishStep) -> StepFate {
        tokio::task::yield_now().await;
        let mut lose = self.0.lock().unwrap();
        lose.take_if(|(at, _)| *at == step).map_or(StepFate::Proceed, |(_, fate)| fate)
    }
}

#[tokio::test]
async fn p06_the_tail_tells_after_each_lost_request_and_each_lost_answer() {
    let steps =
        [PublishStep::Begin, PublishStep::Produce(0), PublishStep::Produce(1), PublishStep::Commit];
    for step in steps {
        for fate in [StepFate::LoseRequest, StepFate::LoseReply] {
            let log = log(1).await;
            let publisher = log.publisher("id", TOPIC).await.unwrap();
            log.set_publish_hook(Some(Arc::new(Lose(Mutex::new(Some((step, fate)))))));
            let doubt = publisher.publish(vec![record(0, "1"), record(0, "2")]).await.unwrap_err();
            assert!(!doubt.fenced, "{doubt}");

            let again = log.publisher("id", TOPIC).await.unwrap();
            assert!(log.read_back(&lane(0), 1).await.unwrap().stable, "{step:?} {fate:?}");
            let committed = (step, fate) == (PublishStep::Commit, StepFate::LoseReply);
            let expected = if committed { vec!["1", "2"] } else { vec![] };
            assert_eq!(visible(&log, 0).await, expected, "{step:?} {fate:?}");
            again.publish(vec![record(0, "3")]).await.unwrap();
            assert_eq!(visible(&log, 0).await.last().unwrap(), "3");
        }
    }
}

#[tokio::test]
async fn a_refused_record_leaves_nothing_of_its_transaction() {
    let log = log(1).await;
    for refused in [record(0, &"x".repeat(101)), record(7, "no such lane")] {
        let publisher = log.publisher("id", TOPIC).await.unwrap();
        let doubt = publisher.publish(vec![record(0, "good"), refused]).await.unwrap_err();
        assert!(!doubt.fenced && !doubt.reason.is_empty());
        assert!(log.read_back(&lane(0), 1).await.unwrap().stable, "nothing stays open");
    }
    assert_eq!(visible(&log, 0).await, [""; 0]);
    assert!(matches!(log.publisher("id", "nowhere").await, Err(LogError::Unavailable(_))));
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_commit_and_by_abort_of_what_held_it_up() {
    let log = log(1).await;
    let mut reader = reader(&log, "group").await;
    let holds_up = log.init_producer("holds up");
    open(&log, &holds_up, 0, "aborted");
    publish(&log, 0, &["behind"]).await;
    assert!(quiet(&mut reader).await, "nothing is stable yet");
    let abort = async {
        tokio::task::yield_now().await;
        log.end(&holds_up, false).unwrap();
    };
    let (delivery, ()) = tokio::join!(next(&mut reader, 10), abort);
    let Delivery::Records(records) = delivery else { panic!("{delivery:?}") };
    assert_eq!(values(&records), ["behind"]);
}

#[tokio::test]
async fn p15_a_fetch_ends_before_what_is_open() {
    let log = log(1).await;
    let mut reader = reader(&log, "group").await;
    publish(&log, 0, &["committed"]).await;
    let producer = log.init_producer("open");
    open(&log, &producer, 0, "open");
    let Delivery::Records(records) = next(&mut reader, 10).await else { panic!("no records") };
    assert_eq!(values(&records), ["committed"]);
    log.end(&producer, false).unwrap();
    publish(&log, 0, &["behind"]).await;
    let Delivery::Records(records) = next(&mut reader, 10).await else { panic!("no records") };
    assert_eq!(values(&records), ["behind"]);
}

#[tokio::test]
async fn no_lane_starves_another() {
    let log = log(3).await;
    let many: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for lane in 0..3 {
        publish(&log, lane, &many).await;
    }
    let mut reader = reader(&log, "group").await;
    let mut counts = [0i32; 3];
    for _ in 0..12 {
        // Fewer than there are lanes, so one has to stand back each time.
        let Delivery::Records(records) = next(&mut reader, 2).await else { panic!() };
        assert_eq!(records.len(), 2);
        for record in records {
            counts[record.source.lane.0 as usize] += 1;
        }
    }
    assert!(counts.iter().all(|count| (counts[0] - count).abs() <= 1), "{counts:?}");
    let Delivery::Records(records) = next(&mut reader, 1000).await else { panic!() };
    assert_eq!(records.len(), 276, "what a short lane leaves over goes to the others");
}

#[tokio::test]
async fn a_member_keeps_its_lanes_where_the_balance_allows() {
    let log = log(6).await;
    let mut one = reader(&log, "group").await;
    let mut two = log.subscribe("group", &[topic()]).await.unwrap();
    let Delivery::Revoked(lost) = next(&mut one, 1).await else { panic!() };
    let Delivery::Assigned(got) = next(&mut two, 1).await else { panic!() };
    assert_eq!((lost.len(), &lost), (3, &got));
    drop(two);
    let Delivery::Assigned(back) = next(&mut one, 1).await else { panic!() };
    assert_eq!(back, lost, "only what had been away");
}

/// A lane that was with another member in between is announced again, even if nobody looked meanwhile.
#[tokio::test]
async fn a_lane_that_went_away_and_came_back_is_revoked_and_assigned() {
    let log = log(2).await;
    let mut one = reader(&log, "group").await;
    drop(log.subscribe("group", &[topic()]).await.unwrap());
    let Delivery::Revoked(lost) = next(&mut one, 1).await else { panic!() };
    let Delivery::Assigned(back) = next(&mut one, 1).await else { panic!() };
    assert_eq!((lost.len(), lost), (1, back));
}

#[tokio::test]
async fn an_expelled_member_learns_it_and_its_lanes_go_to_others() {
    let log = log(2).await;
    let mut dead = reader(&log, "group").await;
    log.expel_members("group");
    let mut alive = log.subscribe("group", &[topic()]).await.unwrap();
    let Delivery::Assigned(lanes) = next(&mut alive, 1).await else { panic!() };
    assert_eq!(lanes.len(), 2);
    assert!(matches!(dead.next(1).await, Err(LogError::Fenced(_))));
    drop(dead);
    assert!(quiet(&mut alive).await, "its leaving changes nothing any more");
}

#[tokio::test]
async fn retention_keeps_the_newest_and_the_last_record() {
    let options = MemoryLogOptions { records_retained_max: Some(3), ..Default::default() };
    let log = log_with(options, 1).await;
    for value in ["1", "2", "3", "4"] {
        publish(&log, 0, &[value]).await;
    }
    // Each record has a mark behind it.
    assert_eq!(visible(&log, 0).await, ["4"]);
    assert_eq!(log.bounds(&lane(0)), Some((5, 8)));
    let mut reader = reader(&log, "group").await;
    let Delivery::Records(records) = next(&mut reader, 10).await else { panic!() };
    assert_eq!(values(&records), ["4"]);
}

#[tokio::test]
async fn trimming_waits_for_every_group() {
    let options = MemoryLogOptions { trim_beyond: Some(1), ..Default::default() };
    let log = log_with(options, 1).await;
    let mut fast = reader(&log, "fast").await;
    let slow = log.subscribe("slow", &[topic()]).await.unwrap();
    publish(&log, 0, &["0", "1", "2", "3", "4", "5"]).await;
    fast.note_progress(&lane(0), 6).await.unwrap();
    assert_eq!(visible(&log, 0).await.len(), 6, "the slow group has read nothing");

    drop(slow);
    let mut slow = reader(&log, "slow").await;
    slow.note_progress(&lane(0), 3).await.unwrap();
    assert_eq!(visible(&log, 0).await, ["3", "4", "5"]);
    assert_eq!(log.progress("slow", &lane(0)), Some(3));
    slow.note_progress(&lane(0), 7).await.unwrap();
    fast.note_progress(&lane(0), 7).await.unwrap();
    assert_eq!(visible(&log, 0).await, ["5"], "the last record tells the relay where it is");
}

/// A former owner's late word must not free what the new owner has yet to read.
#[tokio::test]
async fn only_the_owner_of_a_lane_notes_progress() {
    let log = log(2).await;
    let mut one = reader(&log, "group").await;
    let mut two = log.subscribe("group", &[topic()]).await.unwrap();
    let Delivery::Assigned(lanes) = next(&mut two, 1).await else { panic!() };
    one.note_progress(&lanes[0], 5).await.unwrap();
    assert_eq!(log.progress("group", &lanes[0]), None);
    two.note_progress(&lanes[0], 4).await.unwrap();
    assert_eq!(log.progress("group", &lanes[0]), Some(4));
}

#[tokio::test]
async fn p08_a_lost_tail_shows_in_end_and_records() {
    let log = log(1).await;
    publish(&log, 0, &["1", "2", "3"]).await;
    let mut reader = reader(&log, "group").await;
    assert!(matches!(next(&mut reader, 10).await, Delivery::Records(r) if r.len() == 3));
    assert!(log.truncate_tail(TOPIC, Lane(0), 1));
    let back = log.read_back(&lane(0), 5).await.unwrap();
    assert_eq!((values(&back.records), back.end_offset), (vec!["1".to_owned()], 1));
    assert!(back.stable);
    // The reader stood beyond the new end: it starts over rather than pass something over.
    publish(&log, 0, &["other 2"]).await;
    let Delivery::Records(records) = next(&mut reader, 10).await else { panic!() };
    assert_eq!(values(&records), ["1", "other 2"]);
}

#[tokio::test]
async fn p06_a_topic_that_is_made_again_is_empty_and_has_another_id() {
    let log = log(2).await;
    publish(&log, 0, &["1", "2"]).await;
    let mut reader = reader(&log, "group").await;
    assert!(matches!(next(&mut reader, 10).await, Delivery::Records(_)));
    let open_there = log.init_producer("open");
    open(&log, &open_there, 1, "gone with the topic");
    let before = log.read_back(&lane(0), 1).await.unwrap().topic_id;
    assert!(log.recreate_topic(TOPIC));

    let back = log.read_back(&lane(0), 1).await.unwrap();
    assert!(back.records.is_empty() && back.from_start && back.stable);
    assert_eq!(back.end_offset, 0);
    assert_ne!(back.topic_id, before);
    let _ = log.init_producer("open");
    assert_eq!(log.bounds(&lane(1)), Some((0, 0)), "no mark of the old topic's transaction");
    publish(&log, 0, &["new 1", "new 2", "new 3", "new 4"]).await;
    let Delivery::Records(records) = next(&mut reader, 10).await else { panic!() };
    assert_eq!(values(&records).first().unwrap(), "new 1");
}

#[tokio::test]
async fn p06_two_logs_give_their_topics_different_ids() {
    let (one, other) = (log(1).await, log(1).await);
    let id = async |log: &MemoryLog| log.read_back(&lane(0), 1).await.unwrap().topic_id;
    assert_ne!(id(&one).await, id(&other).await);
    let seeded = MemoryLogOptions { identity: Some(7), ..Default::default() };
    let (one, other) = (log_with(seeded.clone(), 1).await, log_with(seeded, 1).await);
    assert_eq!(id(&one).await, id(&other).await, "a simulation must repeat itself");
}
