//! TEMPORARY stand-in until the codec is merged.
use super::*;
use crate::{id::EventId, id::SagaId, store::RecordedEvent};
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Message {
    pub source: SourceLane,
    pub offset: i64,
    pub seq: LaneSeq,
    pub id: String,
    pub event_type: Arc<str>,
    pub saga: SagaId,
    pub key: Arc<str>,
    pub time: Timestamp,
    pub payload: Bytes,
    pub trace: Option<Arc<str>>,
    pub headers: Arc<[Header]>,
}
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Malformed {
    pub reason: String,
    pub id: Option<String>,
    pub seq: Option<LaneSeq>,
    pub key: Option<Arc<str>>,
    pub event_type: Option<Arc<str>>,
    pub saga: Option<SagaId>,
}
#[allow(missing_docs)]
pub fn decode(_: &LogRecord) -> Result<Message, Malformed> {
    todo!()
}
#[allow(missing_docs)]
pub fn headers_to_json(_: &[Header]) -> Bytes {
    todo!()
}
#[allow(missing_docs)]
pub fn headers_from_json(_: &[u8]) -> Vec<Header> {
    todo!()
}
#[allow(missing_docs)]
pub fn fingerprint(_: &LogRecord) -> String {
    todo!()
}
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Codec;
#[allow(missing_docs)]
impl Codec {
    pub fn new(_: &str) -> Self {
        Self
    }
    pub fn encode(&self, _: &RecordedEvent) -> NewRecord {
        todo!()
    }
    pub fn ours(&self, _: &LogRecord) -> Option<(LaneSeq, EventId)> {
        todo!()
    }
}
