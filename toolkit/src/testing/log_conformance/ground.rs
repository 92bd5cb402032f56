//! What the properties share: a topic of one's own, publishing to it, and reading it.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use super::LogUnderTest;
use crate::{
    id::{Lane, LaneSeq, SourceLane},
    log::{
        Backwards, Delivery, EventLog, Header, Headers, LogError, LogRecord, NewRecord, Publisher,
        Subscription, TopicSpec, record::name,
    },
    runtime::Timestamp,
};

/// Between two looks at a condition that only asking again can show.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// More records than any property writes to a lane.
pub(super) const ALL: usize = 10_000;

pub(super) fn unique(name: &str) -> String {
    format!("conformance.{name}.{:016x}", rand::random::<u64>())
}

pub(super) fn spec(name: &str, lanes: u32) -> TopicSpec {
    TopicSpec { name: name.into(), lanes, record_bytes_max: 1_000_000 }
}

pub(super) fn record(lane: u32, value: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        lane: Lane(lane),
        key: Bytes::from_static(b"key"),
        value: value.into(),
        headers: Headers::default(),
        time: Timestamp(1_700_000_000_000_000),
    }
}

pub(super) fn records(lane: u32, values: impl IntoIterator<Item = String>) -> Vec<NewRecord> {
    values.into_iter().map(|value| record(lane, value)).collect()
}

/// A record with a lane number, and that number as its value.
pub(super) fn numbered(lane: u32, seq: LaneSeq) -> NewRecord {
    let number = Header { name: name::LANE_SEQ.into(), value: seq.to_string().into() };
    NewRecord { headers: vec![number].into(), ..record(lane, seq.to_string()) }
}

pub(super) fn values<'a>(records: impl IntoIterator<Item = &'a LogRecord>) -> Vec<String> {
    records.into_iter().map(|r| String::from_utf8_lossy(&r.value).into_owned()).collect()
}

/// A fresh topic.
pub(super) struct Ground<'a> {
    pub(super) under: &'a dyn LogUnderTest,
    pub(super) topic: Arc<str>,
    pub(super) id: String,
}

impl<'a> Ground<'a> {
    pub(super) async fn new(under: &'a dyn LogUnderTest, lanes: u32) -> Self {
        let topic = unique("topic");
        let spec = spec(&topic, lanes);
        under.log().ensure_topic(&spec).await.expect("a new topic");
        Self { under, topic: topic.into(), id: unique("id") }
    }

    pub(super) fn log(&self) -> &'a dyn EventLog {
        self.under.log()
    }

    pub(super) fn lane(&self, lane: u32) -> SourceLane {
        SourceLane { topic: Arc::clone(&self.topic), lane: Lane(lane) }
    }

    /// Asks until the log is available: a topic that was just made may not be known everywhere.
    pub(super) async fn available<T, F>(&self, what: &str, mut ask: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, LogError>>,
    {
        let asking = async {
            loop {
                match ask().await {
                    Ok(answer) => return answer,
                    Err(LogError::Unavailable(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        };
        self.in_time(what, asking).await
    }

    pub(super) async fn in_time<T>(&self, what: &str, task: impl Future<Output = T>) -> T {
        let Ok(done) = tokio::time::timeout(self.under.deadline(), task).await else {
            panic!("not in time: {what}");
        };
        done
    }

    pub(super) async fn publisher(&self) -> Box<dyn Publisher> {
        self.publisher_of(&self.id).await
    }

    pub(super) async fn publisher_of(&self, id: &str) -> Box<dyn Publisher> {
        self.available("a publisher", || self.log().publisher(id, &self.topic)).await
    }

    /// Publishes the records in one transaction of a new publisher.
    pub(super) async fn publish(&self, records: Vec<NewRecord>) -> Box<dyn Publisher> {
        self.publisher().await.publish(records).await.expect("a commit")
    }

    pub(super) async fn back(&self, lane: u32, count: usize) -> Backwards {
        let source = self.lane(lane);
        self.available("read_back", || self.log().read_back(&source, count)).await
    }

    /// Reads back until nothing is open in the lane.
    pub(super) async fn stable(&self, lane: u32, count: usize) -> Backwards {
        let looking = async {
            loop {
                let back = self.back(lane, count).await;
                if back.stable {
                    return back;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        self.in_time("a stable tail", looking).await
    }

    pub(super) async fn join(&self, group: &str) -> Reader {
        self.join_topics(group, &[Arc::clone(&self.topic)]).await
    }

    pub(super) async fn join_topics(&self, group: &str, topics: &[Arc<str>]) -> Reader {
        let subscription =
            self.available("a subscription", || self.log().subscribe(group, topics)).await;
        Reader { subscription, lanes: BTreeSet::new(), records: vec![], seek_to: Some(0) }
    }

    /// A group of one that has all the lanes and reads none of them yet.
    pub(super) async fn idle_reader(&self, lanes: usize) -> Reader {
        let mut reader = self.join(&unique("group")).await;
        reader.seek_to = None;
        self.until("the lanes", &mut reader, |reader| reader.lanes.len() == lanes).await;
        reader
    }

    /// A group of one reads until this many records are there.
    pub(super) async fn read(&self, count: usize) -> Vec<LogRecord> {
        let mut reader = self.join(&unique("group")).await;
        self.until("the records", &mut reader, |reader| reader.records.len() >= count).await;
        reader.records
    }

    pub(super) async fn until(
        &self,
        what: &str,
        reader: &mut Reader,
        mut met: impl FnMut(&Reader) -> bool,
    ) {
        let reading = async {
            while !met(reader) {
                reader.step(100).await;
            }
        };
        self.in_time(what, reading).await;
    }
}

/// A member of a group that remembers what it got.
pub(super) struct Reader {
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) lanes: BTreeSet<SourceLane>,
    pub(super) records: Vec<LogRecord>,
    /// Where to start lanes that it is given; `None` leaves that to the test.
    pub(super) seek_to: Option<i64>,
}

impl Reader {
    pub(super) async fn step(&mut self, max: usize) {
        let delivery = self.subscription.next(max).await.expect("a delivery");
        self.take(delivery).await;
    }

    pub(super) async fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Assigned(lanes) => {
                for lane in &lanes {
                    assert!(!self.lanes.contains(lane), "{lane} was assigned twice");
                    if let Some(offset) = self.seek_to {
                        self.subscription.seek(lane, offset).await.expect("a seek");
                    }
                }
                self.lanes.extend(lanes);
            }
            Delivery::Revoked(lanes) => {
                for lane in lanes {
                    assert!(self.lanes.remove(&lane), "{lane} was not ours");
                }
            }
            Delivery::Records(records) => {
                for record in &records {
                    assert!(self.lanes.contains(&record.source), "{} is not ours", record.source);
                }
                self.records.extend(records);
            }
        }
    }

    pub(super) async fn seek(&mut self, lane: &SourceLane, offset: i64) {
        self.subscription.seek(lane, offset).await.expect("a seek");
    }

    pub(super) fn of(&self, lane: &SourceLane) -> Vec<&LogRecord> {
        self.records.iter().filter(|record| record.source == *lane).collect()
    }
}
