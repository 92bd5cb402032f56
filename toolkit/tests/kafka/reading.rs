//! Long lanes, and readers that are slow.

use std::collections::BTreeMap;

use quadrille::{
    id::{EventId, SagaId, StreamId},
    log::{
        Delivery, Found, LogRecord, Subscription,
        record::{self, ServiceIdentity},
    },
    store::{Published, RecordedEvent},
};

use super::*;

async fn find(log: &KafkaLog, lane: &SourceLane, seq: u64) -> Found {
    log.find(lane, seq).await.expect("an answer")
}

/// Publishes these numbers in transactions of changing size, so that marks lie between them.
async fn publish(
    mut publisher: Box<dyn Publisher>,
    numbers: impl IntoIterator<Item = u64>,
) -> Box<dyn Publisher> {
    let mut records: Vec<_> = numbers.into_iter().map(|seq| numbered(0, seq)).collect();
    let mut size = 1;
    while !records.is_empty() {
        let rest = records.split_off(size.min(records.len()));
        publisher = publisher.publish(records).await.expect("a commit");
        (records, size) = (rest, size * 7 % 401 + 1);
    }
    publisher
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p03_every_number_of_a_long_lane_is_found() {
    const MISSING: std::ops::Range<u64> = 4_000..4_003;
    let log = connect().await.log();
    let topic = topic(&log, 1).await;
    let lane = SourceLane::new(topic.clone(), Lane(0));
    let numbers = (1..=9_000).filter(|seq| !MISSING.contains(seq));
    publish(publisher(&log, &unique("id"), &topic).await, numbers).await;
    let all = log.read_back(&lane, 10_000).await.expect("a tail").records;
    assert_eq!(all.len(), 8_997);
    for record in all.iter().step_by(331).chain(all.last()) {
        let seq = std::str::from_utf8(&record.value).expect("a text").parse().expect("a number");
        assert_eq!(find(&log, &lane, seq).await, Found::At(record.offset), "number {seq}");
    }
    for seq in MISSING.chain([9_001, 1 << 60]) {
        assert_eq!(find(&log, &lane, seq).await, Found::Missing { first: Some(1) }, "number {seq}");
    }
}

/// A floor that lags makes a relay publish some events twice: numbers do not grow everywhere, and here the
/// bisection comes to the wrong side. A loss is not called before everything was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p03_numbers_that_were_published_twice_are_found() {
    let cluster = connect().await;
    let log = cluster.log();
    let topic = topic(&log, 1).await;
    let lane = SourceLane::new(topic.clone(), Lane(0));
    let publisher = publisher(&log, &unique("id"), &topic).await;
    let publisher = publish(publisher, 1..=10).await;
    let foreign = NewRecord { headers: quadrille::log::Headers::default(), ..numbered(0, 0) };
    cluster.produce(&topic, vec![foreign; 3_000]).await;
    let publisher = publish(publisher, 11..=3_000).await;
    publish(publisher, (0..3).flat_map(|_| 1..=2_500)).await;
    for seq in (1..=3_000).step_by(173).chain([10, 11, 2_500, 2_501, 2_600, 3_000]) {
        let found = find(&log, &lane, seq).await;
        assert!(matches!(found, Found::At(_)), "number {seq}: {found:?}");
    }
}

/// More aborted records than are looked through at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_a_long_run_of_aborted_records_hides_nothing() {
    let cluster = connect().await;
    let log = cluster.log();
    let (topic, id) = (topic(&log, 1).await, unique("id"));
    let lane = SourceLane::new(topic.clone(), Lane(0));
    publish(publisher(&log, &id, &topic).await, 1..=3).await;
    cluster.leave_open(&id, &topic, (4..=6_000).map(|seq| numbered(0, seq)).collect()).await;
    drop(publisher(&log, &id, &topic).await);
    let back = log.read_back(&lane, 2).await.expect("a tail");
    let numbers: Vec<_> = back.records.iter().map(|record| &record.value[..]).collect();
    assert_eq!(numbers, [b"2", b"3"]);
    assert!(back.stable && !back.from_start);
    assert_eq!(find(&log, &lane, 4).await, Found::Missing { first: Some(1) });
}

async fn next(member: &mut dyn Subscription) -> Delivery {
    let next = tokio::time::timeout(DEADLINE, member.next(20)).await;
    next.expect("a delivery in time").expect("a delivery")
}

/// The first records of a lane, as its only member gets them.
async fn taken(member: &mut dyn Subscription, count: usize) -> Vec<LogRecord> {
    let mut got = vec![];
    while got.len() < count {
        match next(member).await {
            Delivery::Assigned(lanes) => member.seek(&lanes[0], 0).await.expect("a seek"),
            Delivery::Records(more) => got.extend(more),
            Delivery::Revoked(_) => panic!("it is alone"),
        }
    }
    got
}

fn event(event_type: &str, seq: u64) -> NewRecord {
    let event = RecordedEvent {
        id: EventId(uuid::Uuid::from_u128(seq.into())),
        stream: StreamId::from_stored("order/1"),
        version: seq,
        event_type: event_type.to_owned().into(),
        payload: (&b"{}"[..]).into(),
        saga: SagaId(uuid::Uuid::from_u128(9)),
        causation: "cause".into(),
        time: Timestamp(1_700_000_000_000_000),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        published: Some(Published { lane: Lane(0), lane_seq: seq, key: "o-1".into() }),
    };
    record::encode(&ServiceIdentity::new("order"), &event).expect("a public event")
}

/// What nobody wants comes with its place in the lane and nothing else; what is not as we write it comes whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_type_that_is_not_wanted_only_its_place_is_brought() {
    let log = connect().await.log();
    let topic = topic(&log, 1).await;
    let mut turned = event("OTHER", 3);
    turned.headers = turned.headers.to_vec().into_iter().rev().collect();
    let records = vec![event("WANTED", 1), event("OTHER", 2), turned, numbered(0, 4)];
    let published = publisher(&log, &unique("id"), &topic).await.publish(records.clone()).await;
    drop(published.expect("a commit"));
    let mut member = log.subscribe(&unique("group"), &[topic]).await.expect("a member");
    member.narrow(&["WANTED".to_owned()]);
    let got = taken(&mut *member, records.len()).await;
    for n in [0, 2, 3] {
        assert_eq!(got[n].headers, records[n].headers, "record {n}");
        assert_eq!((&got[n].key, &got[n].value), (&records[n].key, &records[n].value));
    }
    let other = record::glance(&got[1]).expect("its place");
    assert_eq!((other.seq, other.id.0.as_u128(), other.event_type), (2, 2, "OTHER"));
    assert!(got[1].key.is_empty() && got[1].value.is_empty() && got[1].headers.len() == 4);
}

/// Anyone can write a header whose name is no text. It is a record like any other that cannot be read: it neither
/// ends the reading nor is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_a_record_whose_headers_cannot_be_read_says_so() {
    let cluster = connect().await;
    let log = cluster.log();
    let topic = topic(&log, 1).await;
    let lane = SourceLane::new(topic.clone(), Lane(0));
    let mut raw = super::raw::Connection::to(&cluster.servers).await;
    raw.produce_with_header(b"\xff\xfe", &lane, b"worth keeping").await.expect("it is written");
    cluster.produce(&topic, vec![numbered(0, 1)]).await;
    let mut member = log.subscribe(&unique("group"), &[topic]).await.expect("a member");
    member.narrow(&["WANTED".to_owned()]);
    let got = taken(&mut *member, 2).await;
    let refusal = record::decode(&got[0], None).expect_err("nobody can read it");
    assert_eq!(refusal.reason, "its headers cannot be read: a name is no UTF-8");
    assert_eq!((&got[0].value[..], &got[1].value[..]), (&b"worth keeping"[..], &b"1"[..]));
    let back = log.read_back(&lane, 2).await.expect("a tail").records;
    assert_eq!(back, got);
}

/// What a member has got, by lane: the numbers in order.
#[derive(Default)]
struct Got(BTreeMap<SourceLane, Vec<u64>>);

impl Got {
    /// Takes one delivery; lanes are read from the start when they are assigned.
    async fn step(&mut self, member: &mut dyn Subscription) {
        match next(member).await {
            Delivery::Assigned(lanes) => {
                for lane in lanes {
                    member.seek(&lane, 0).await.expect("a seek");
                    self.0.insert(lane, vec![]);
                }
            }
            Delivery::Revoked(lanes) => self.0.retain(|lane, _| !lanes.contains(lane)),
            Delivery::Records(records) => {
                for record in records {
                    let seq = std::str::from_utf8(&record.value).expect("a text");
                    let lane = self.0.get_mut(&record.source).expect("a lane that is ours");
                    lane.push(seq.parse().expect("a number"));
                }
            }
        }
    }
}

/// Its buffer is full and it takes nothing more: all the same the group gives some of its lanes away, which
/// takes its consent. Then it reads on, and misses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_member_stays_in_the_group_and_misses_nothing() {
    const LANES: u32 = 2;
    const RECORDS: u64 = 4_000;
    let cluster = connect().await;
    let mut config = cluster.config();
    config.limits.buffered_records_max = 50;
    let log = KafkaLog::new(config).expect("a good configuration");
    let (topic, group) = (topic(&log, LANES).await, unique("group"));
    let mut publisher = publisher(&log, &unique("id"), &topic).await;
    for lane in 0..LANES {
        let records = (1..=RECORDS).map(|seq| numbered(lane, seq)).collect();
        publisher = publisher.publish(records).await.expect("a commit");
    }
    let topics = [topic];
    let mut slow = log.subscribe(&group, &topics).await.expect("a member");
    let mut got = Got::default();
    while got.0.values().map(Vec::len).sum::<usize>() < 100 {
        got.step(&mut *slow).await;
    }

    let mut second = log.subscribe(&group, &topics).await.expect("a member");
    let mut seconds = Got::default();
    while seconds.0.is_empty() {
        seconds.step(&mut *second).await;
    }
    while got.0.len() != 1 || got.0.values().any(|numbers| numbers.len() < 4_000) {
        got.step(&mut *slow).await;
    }
    let expected: Vec<_> = (1..=RECORDS).collect();
    assert!(got.0.values().all(|numbers| *numbers == expected), "in order, and each once");
}

/// Whoever takes while the last record that fits is being put down makes room that nobody is told of. The
/// rest must not lie until the next thing happens: each time would cost a fifth of a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_member_never_waits_for_records_that_are_there() {
    const RECORDS: usize = 10_000;
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);
    let mut config = connect().await.config();
    config.limits.buffered_records_max = 20;
    let log = KafkaLog::new(config).expect("a good configuration");
    let topic = topic(&log, 1).await;
    let records = (1..).take(RECORDS).map(|seq| numbered(0, seq)).collect();
    let published = publisher(&log, &unique("id"), &topic).await.publish(records).await;
    drop(published.expect("a commit"));
    let mut fast = log.subscribe(&unique("group"), &[topic]).await.expect("a member");
    let mut got = Got::default();
    while got.0.is_empty() {
        got.step(&mut *fast).await;
    }
    let all = async {
        while got.0.values().any(|numbers| numbers.len() < RECORDS) {
            got.step(&mut *fast).await;
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("all records in time");
}
