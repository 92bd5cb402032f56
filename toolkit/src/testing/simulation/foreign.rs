//! Producers that are not ours: they know no lane numbers, and send what they like as often as they like (P4).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;

use super::{actors::Actor, core::Core, faults::Fault, plan::Site, world::NAMESPACE};
use crate::{
    engine::Config,
    id::SourceLane,
    log::{Header, NewRecord, partition::lane_of, record::name},
};

const FOREIGN: &[Fault] = &[Fault::ForeignAgain];
/// How much later a repetition comes, in milliseconds.
const AGAIN_MS_MAX: u64 = 20_000;

/// An event of a foreign producer, as CloudEvents knows it.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// `ce_source`.
    pub source: String,
    /// `ce_id`, which the source gives once.
    pub id: String,
    /// `ce_type`.
    pub event_type: String,
    /// The record's key.
    pub key: String,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Foreign {
    fn record(&self, lanes: u32, core: &Core) -> NewRecord {
        let header = |name: &'static str, value: &str| Header {
            name: Cow::Borrowed(name),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        NewRecord {
            lane: lane_of(self.key.as_bytes(), lanes),
            key: Bytes::copy_from_slice(self.key.as_bytes()),
            value: self.payload.clone().into(),
            headers: vec![
                header(name::SPEC_VERSION, "1.0"),
                header(name::ID, &self.id),
                header(name::SOURCE, &self.source),
                header(name::TYPE, &self.event_type),
                header(name::CONTENT_TYPE, "application/json"),
            ]
            .into(),
            time: core.exec.now(),
        }
    }
}

/// How many lanes a topic has.
fn lanes_of(core: &Core, topic: &Arc<str>) -> u32 {
    let there = |lane: &u32| {
        let source = SourceLane { topic: topic.clone(), lane: crate::id::Lane(*lane) };
        core.log.bounds(&source).is_some()
    };
    (0..).take_while(there).count().try_into().unwrap_or(u32::MAX)
}

impl Actor {
    /// Sends an event as a foreign producer does, without a number; a fault sends it again. Events of one key
    /// that are sent one after the other stay in order.
    ///
    /// # Panics
    /// When no topic of `owner` was added with [`Simulation::foreign`](super::Simulation::foreign).
    pub fn send(&self, owner: &str, event: &Foreign) {
        let core = self.core();
        let topic: Arc<str> = Config::new(NAMESPACE).topic_of(owner).into();
        let lanes = lanes_of(core, &topic);
        assert!(lanes > 0, "there is no topic of {owner}: add it with `Simulation::foreign`");
        produce(core, self.name(), &topic, lanes, event);
        let site: Site = core.site(self.name(), "send");
        if core.decide(&site, FOREIGN).is_some() {
            let after = core.some_time(&site, "again", 0, AGAIN_MS_MAX);
            let (core, name, event) = (core.clone(), self.name().clone(), event.clone());
            core.clone().arrive_later(after, move || produce(&core, &name, &topic, lanes, &event));
        }
    }
}

fn produce(core: &Core, name: &Arc<str>, topic: &Arc<str>, lanes: u32, event: &Foreign) {
    let produced = core.log.produce_raw(topic, event.record(lanes, core));
    core.note(name, "sends", u64::from(produced.is_ok()));
    core.changed();
    core.tell(name, || {
        let payload = String::from_utf8_lossy(&event.payload);
        format!("sends {} {} as {}: {payload}", event.event_type, event.key, event.id)
    });
}
