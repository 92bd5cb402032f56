use bytes::Bytes;

use super::*;
use crate::{id::Lane, log::Headers, runtime::Timestamp};

fn lane(number: u32) -> SourceLane {
    SourceLane::new("t", Lane(number))
}

fn record(number: u32, offset: i64) -> LogRecord {
    LogRecord {
        source: lane(number),
        offset,
        key: Bytes::new(),
        value: Bytes::from_static(b"value"),
        headers: Headers::default(),
        time: Timestamp(0),
    }
}

fn desk(records_max: usize) -> Desk {
    let limits = KafkaLimits { buffered_records_max: records_max, ..KafkaLimits::default() };
    Desk::new(&limits, &["t".into()])
}

fn take(desk: &Desk) -> Option<Delivery> {
    desk.take(100).expect("no failure").delivery
}

/// A desk whose handle reads this lane from 0.
fn reading(records_max: usize) -> Desk {
    let desk = desk(records_max);
    desk.assigned([lane(0)]);
    assert_eq!(take(&desk), Some(Delivery::Assigned(vec![lane(0)])));
    desk.want(&lane(0), Want::ReadFrom(0));
    desk.done(&lane(0), Want::ReadFrom(0));
    desk
}

fn offsets(delivery: Option<Delivery>) -> Vec<i64> {
    match delivery {
        Some(Delivery::Records(records)) => records.iter().map(|r| r.offset).collect(),
        None => vec![],
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_put_down_before_a_seek_is_done() {
    let desk = desk(10);
    desk.assigned([lane(0)]);
    desk.put([record(0, 0)]);
    assert_eq!(take(&desk), Some(Delivery::Assigned(vec![lane(0)])));
    desk.want(&lane(0), Want::ReadFrom(5));
    desk.put([record(0, 1)]);
    assert_eq!(desk.wants(), [(lane(0), Want::ReadFrom(5))]);
    desk.done(&lane(0), Want::ReadFrom(5));
    desk.put([record(0, 5)]);
    assert_eq!(offsets(take(&desk)), [5]);
    desk.read_on();
    assert_eq!(desk.wants(), [(lane(0), Want::ReadFrom(6))]);
}

#[test]
fn a_later_wish_is_not_taken_for_the_earlier_one() {
    let desk = reading(10);
    desk.want(&lane(0), Want::ReadFrom(5));
    desk.want(&lane(0), Want::Pause);
    desk.done(&lane(0), Want::ReadFrom(5));
    desk.put([record(0, 5)]);
    assert_eq!(take(&desk), None);
    assert_eq!(desk.wants(), [(lane(0), Want::Pause)]);
}

#[test]
fn a_seek_and_a_pause_throw_away_what_was_read() {
    for want in [Want::Pause, Want::ReadFrom(1)] {
        let desk = reading(10);
        desk.put([record(0, 0)]);
        desk.want(&lane(0), want);
        assert_eq!(take(&desk), None);
    }
}

#[test]
fn reading_on_keeps_what_was_read() {
    let desk = reading(10);
    assert!(desk.put([record(0, 0)]));
    desk.read_on();
    assert!(!desk.put([record(0, 7)]), "a wish comes first");
    assert_eq!(desk.reading(), []);
    assert_eq!(offsets(take(&desk)), [0]);
    desk.done(&lane(0), Want::ReadFrom(1));
    desk.put([record(0, 1)]);
    assert_eq!(offsets(take(&desk)), [1]);
}

#[test]
fn a_lost_lane_takes_its_records_along() {
    let desk = reading(10);
    desk.put([record(0, 0)]);
    desk.note(&lane(0), 1);
    desk.revoked([lane(0)]);
    assert_eq!(take(&desk), Some(Delivery::Revoked(vec![lane(0)])));
    assert_eq!(take(&desk), None);
    assert!(desk.progress().is_empty());
}

#[test]
fn a_lane_that_was_lost_and_won_again_waits_for_a_new_seek() {
    let desk = reading(10);
    desk.revoked([lane(0)]);
    desk.assigned([lane(0)]);
    // The handle does not know yet: its wish is for the lane that it had.
    desk.want(&lane(0), Want::ReadFrom(3));
    assert_eq!(desk.wants(), []);
    assert_eq!(take(&desk), Some(Delivery::Revoked(vec![lane(0)])));
    assert_eq!(take(&desk), Some(Delivery::Assigned(vec![lane(0)])));
    desk.put([record(0, 3)]);
    assert_eq!(take(&desk), None);
}

#[test]
fn a_lane_that_came_and_went_is_not_mentioned() {
    let desk = desk(10);
    desk.assigned([lane(0)]);
    desk.revoked([lane(0)]);
    assert_eq!(take(&desk), None);
}

#[test]
fn a_full_desk_says_when_there_is_room_again() {
    let desk = reading(3);
    for offset in 0..4 {
        assert!(desk.has_room());
        assert_eq!(desk.put([record(0, offset)]), offset < 3);
    }
    assert!(!desk.has_room());
    let taken = desk.take(1).expect("no failure");
    assert!(!taken.made_room, "three of three is still full enough");
    let taken = desk.take(2).expect("no failure");
    assert!(taken.made_room);
    assert_eq!(offsets(taken.delivery), [1, 2]);
    assert!(!desk.take(1).expect("no failure").made_room, "it is said once");
}

#[test]
fn bytes_are_bounded_as_well() {
    let limits = KafkaLimits { buffered_bytes_max: 1, ..KafkaLimits::default() };
    let desk = Desk { bytes_max: limits.buffered_bytes_max, ..reading(1000) };
    desk.put([record(0, 0)]);
    assert!(!desk.has_room());
    assert_eq!(offsets(take(&desk)), [0]);
    assert!(desk.has_room());
}
