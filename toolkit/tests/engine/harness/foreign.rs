//! A producer that knows nothing of us but CloudEvents.

use quadrille::{
    id::SourceLane,
    log::{Header, NewRecord, record::name},
    runtime::{Runtime, Timestamp},
};
use serde::Serialize;
use serde_json::json;

use super::World;

/// An event as another's program would send it. Change what is to be different.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub service: &'static str,
    pub source: String,
    pub id: String,
    pub event_type: String,
    pub key: String,
    pub correlation: Option<String>,
    pub data: Vec<u8>,
    pub at: Timestamp,
}

impl Foreign {
    /// An event of the service `up`, by its id there.
    pub fn new(id: &str, key: &str, event_type: &str, data: &impl Serialize) -> Self {
        Self {
            service: "up",
            source: "https://risk.example/checks".into(),
            id: id.into(),
            event_type: event_type.into(),
            key: key.into(),
            correlation: None,
            data: serde_json::to_vec(data).unwrap(),
            at: Runtime::tokio().clock.now(),
        }
    }

    /// Binary mode: attributes are headers.
    pub fn binary(&self, world: &World) -> (SourceLane, NewRecord) {
        let mut headers = vec![
            (name::SPEC_VERSION, "1.0"),
            (name::ID, &*self.id),
            (name::SOURCE, &*self.source),
            (name::TYPE, &*self.event_type),
            (name::CONTENT_TYPE, "application/json"),
        ];
        headers.extend(self.correlation.iter().map(|text| (name::CORRELATION_ID, &**text)));
        self.record(world, &headers, self.data.clone())
    }

    /// Structured mode: the event is a JSON object in the value.
    pub fn structured(&self, world: &World) -> (SourceLane, NewRecord) {
        let data: serde_json::Value = serde_json::from_slice(&self.data).unwrap();
        let mut event = json!({
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.event_type,
            "time": "2026-01-02T03:04:05Z", "shard": 7, "data": data,
        });
        if let Some(correlation) = &self.correlation {
            event["correlationid"] = json!(correlation);
        }
        self.envelope(world, "application/cloudevents+json; charset=UTF-8", event.to_string())
    }

    /// Any value, under any content type.
    pub fn envelope(
        &self,
        world: &World,
        content_type: &str,
        value: impl Into<Vec<u8>>,
    ) -> (SourceLane, NewRecord) {
        self.record(world, &[(name::CONTENT_TYPE, content_type)], value.into())
    }

    fn record(
        &self,
        world: &World,
        headers: &[(&'static str, &str)],
        value: Vec<u8>,
    ) -> (SourceLane, NewRecord) {
        let source = world.lane(self.service, &self.key);
        let headers = headers
            .iter()
            .map(|(name, value)| Header { name: (*name).into(), value: value.to_string().into() })
            .collect();
        let record = NewRecord {
            lane: source.lane,
            key: self.key.clone().into(),
            value: value.into(),
            headers,
            time: self.at,
        };
        (source, record)
    }

    /// Sends it in binary mode.
    pub fn send(&self, world: &World) -> i64 {
        let (source, record) = self.binary(world);
        world.put(&source, record)
    }
}
