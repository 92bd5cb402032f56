//! The in-memory log passes the suite, as it is and behind a faulty log without faults.
#![cfg(feature = "testing")]

use async_trait::async_trait;
use quadrille::{
    id::SourceLane,
    log::{EventLog, NewRecord, TopicSpec, memory::MemoryLog},
    testing::{faulty_log::FaultyLog, log_conformance::LogUnderTest},
};

struct Under<L> {
    log: L,
    memory: MemoryLog,
}

#[async_trait]
impl<L: EventLog> LogUnderTest for Under<L> {
    fn log(&self) -> &dyn EventLog {
        &self.log
    }

    async fn delete_records_before(&self, source: &SourceLane, offset: i64) -> bool {
        assert!(self.memory.delete_records_before(&source.topic, source.lane, offset));
        true
    }

    async fn produce_raw(&self, topic: &str, record: NewRecord) -> bool {
        self.memory.produce_raw(&topic.into(), record).unwrap();
        true
    }

    async fn leave_open(&self, id: &str, topic: &str, records: Vec<NewRecord>) -> bool {
        let producer = self.memory.init_producer(id);
        let lanes: Vec<_> = records.iter().map(|record| record.lane).collect();
        self.memory.begin(&producer, &topic.into(), &lanes).unwrap();
        for record in records {
            self.memory.produce(&producer, &topic.into(), record).unwrap();
        }
        true
    }

    async fn make_compacted(&self, spec: &TopicSpec) -> bool {
        self.memory.ensure_topic(spec).await.unwrap();
        assert!(self.memory.set_compacted(&spec.name));
        true
    }
}

mod plain {
    use super::*;

    async fn fresh() -> Under<MemoryLog> {
        let memory = MemoryLog::default();
        Under { log: memory.clone(), memory }
    }

    quadrille::log_conformance!(fresh);
}

mod through_a_faulty_log {
    use super::*;

    async fn fresh() -> Under<FaultyLog<MemoryLog>> {
        let memory = MemoryLog::default();
        Under { log: FaultyLog::new(memory.clone()), memory }
    }

    quadrille::log_conformance!(fresh);
}
