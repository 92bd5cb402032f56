//! What a test sees of a world: what is stored, published, held, applied.

use std::collections::BTreeMap;

use quadrille::{
    DomainEvent,
    id::{EventId, Lane, LaneSeq, SourceLane, StreamId},
    log::{
        EventLog, LogRecord,
        record::{decode, header, name},
    },
    store::{EventStore, HeldMessage, HeldState, RecordedEvent, StreamRead},
};

use super::{World, until, until_true};

impl World {
    /// All public events that the trial service has stored, lane by lane.
    pub async fn stored(&self) -> Vec<RecordedEvent> {
        let mut events = vec![];
        for lane in 0..self.lanes {
            events.extend(self.store.read_lane(Lane(lane), 0, usize::MAX).await.unwrap());
        }
        events
    }

    /// The types of the public events stored under a key, in order.
    pub async fn types(&self, key: &str) -> Vec<String> {
        self.of_key(key).await.map(|event| event.event_type.to_string()).collect()
    }

    /// The events of one type under a key.
    pub async fn all<E: DomainEvent>(&self, key: &str) -> Vec<E> {
        let events = self.of_key(key).await.filter(|event| event.event_type == E::TYPE);
        events.map(|event| serde_json::from_slice(&event.payload).unwrap()).collect()
    }

    async fn of_key(&self, key: &str) -> impl Iterator<Item = RecordedEvent> + use<> {
        let key = key.to_owned();
        let of_key = move |event: &RecordedEvent| {
            event.published.as_ref().is_some_and(|published| *published.key == *key)
        };
        self.stored().await.into_iter().filter(of_key)
    }

    /// The types of all events in a key's participation, the toolkit's own included, in order.
    pub async fn participation(&self, key: &str) -> Vec<String> {
        let stream = StreamId::new("participation", &key).unwrap();
        self.stream(stream).await.into_iter().map(|event| event.event_type.to_string()).collect()
    }

    pub async fn stream(&self, stream: StreamId) -> Vec<RecordedEvent> {
        let read = StreamRead { stream, snapshot_version: u32::MAX };
        self.store.load(&[read]).await.unwrap().remove(0).events
    }

    /// The records in one lane of the trial service's topic.
    pub async fn lane_of_log(&self, lane: u32) -> Vec<LogRecord> {
        let source = SourceLane { topic: self.topic("trial"), lane: Lane(lane) };
        self.log.read_back(&source, usize::MAX).await.unwrap().records
    }

    /// Number and id of each of our events in one lane of the log.
    pub async fn published(&self, lane: u32) -> Vec<(LaneSeq, EventId)> {
        let records = self.lane_of_log(lane).await;
        let ours = |r: &&LogRecord| header(&r.headers, name::SOURCE) == Some(b"/quadrille/trial");
        let messages = records.iter().filter(ours).map(|record| decode(record, None).unwrap());
        messages.map(|message| (message.seq, message.id)).collect()
    }

    /// Waits until the last event of each lane is in the log.
    pub async fn all_published(&self) {
        for lane in 0..self.lanes {
            until_true(&format!("lane {lane} of the log to be level with the store"), || async {
                self.store.inner().lane_heads().await.unwrap()[lane as usize]
                    <= self.published(lane).await.last().map_or(0, |(seq, _)| *seq)
            })
            .await;
        }
    }

    /// Number and id of each event in one lane of the store.
    pub async fn in_store(&self, lane: u32) -> Vec<(LaneSeq, EventId)> {
        let events = self.store.read_lane(Lane(lane), 0, usize::MAX).await.unwrap();
        events.iter().map(|e| (e.published.as_ref().unwrap().lane_seq, e.id)).collect()
    }

    /// Waits until the log holds exactly what the store holds, in order: nothing twice, nothing lost.
    pub async fn level(&self) {
        self.all_published().await;
        for lane in 0..self.lanes {
            let (log, store) = (self.published(lane).await, self.in_store(lane).await);
            assert_eq!(log, store, "lane {lane}: log and store");
        }
    }

    pub async fn positions(&self) -> BTreeMap<SourceLane, LaneSeq> {
        let positions = self.store.positions().await.unwrap();
        positions.into_iter().map(|(source, position)| (source, position.last_seq)).collect()
    }

    /// Waits until everything that was sent is applied or held.
    pub async fn applied(&self) {
        let sent = self.numbers.lock().unwrap().clone();
        until_true(&format!("{sent:?} to be applied"), || async {
            let positions = self.positions().await;
            sent.iter().all(|(source, last)| positions.get(source) == Some(last))
        })
        .await;
    }

    pub async fn held(&self, state: HeldState) -> Vec<HeldMessage> {
        self.store.held_in(state, usize::MAX).await.unwrap()
    }

    /// Waits until everything that was sent has had an answer: nothing is held for any reason.
    pub async fn answered(&self) {
        self.applied().await;
        for state in [HeldState::Dead, HeldState::Parked, HeldState::Waiting] {
            assert_eq!(self.held(state).await, []);
        }
    }

    /// Waits until nothing is parked or waits; what is dead stays.
    pub async fn nothing_parked(&self) {
        until_true("parked messages to be handled", || async {
            self.held(HeldState::Parked).await.is_empty()
                && self.held(HeldState::Waiting).await.is_empty()
        })
        .await;
    }

    /// Waits for the one dead message that there is.
    pub async fn the_dead(&self) -> HeldMessage {
        let dead = until("a dead message", || async {
            Some(self.held(HeldState::Dead).await).filter(|dead| !dead.is_empty())
        })
        .await;
        assert_eq!(dead.len(), 1, "{dead:?}");
        dead.into_iter().next().unwrap()
    }
}
