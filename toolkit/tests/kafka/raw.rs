//! As much of Kafka's protocol as it takes to write what no client library writes: a record of a transaction of
//! which the transaction's coordinator knows nothing.

mod batch;

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quadrille::id::SourceLane;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ANSWER_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u32 = 1_000_000;

/// A request and the version in which it is asked; all of them older than the compact encodings.
#[derive(Clone, Copy)]
struct Api {
    key: i16,
    version: i16,
}

const PRODUCE: Api = Api { key: 0, version: 3 };
const INIT_PRODUCER_ID: Api = Api { key: 22, version: 1 };
const INCREMENTAL_ALTER_CONFIGS: Api = Api { key: 44, version: 0 };

/// The broker's word for why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused(i16);

/// Who writes: what a producer learns when it asks for an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    id: i64,
    epoch: i16,
}

/// A connection to one broker.
pub(super) struct Connection {
    stream: TcpStream,
    correlation: i32,
}

impl Connection {
    pub(super) async fn to(address: &str) -> Self {
        let connecting = tokio::time::timeout(ANSWER_MAX, TcpStream::connect(address));
        let stream = connecting.await.expect("a connection in time").expect("a connection");
        Self { stream, correlation: 0 }
    }

    /// Asks for the next epoch of a transactional id; who had the one before is fenced.
    pub(super) async fn init_producer_id(&mut self, id: &str) -> Result<Writer, Refused> {
        const TRANSACTION_MILLIS: i32 = 60_000;
        let mut body = BytesMut::new();
        put_text(&mut body, id);
        body.put_i32(TRANSACTION_MILLIS);
        let mut answer = self.ask(INIT_PRODUCER_ID, &body).await;
        answer.advance(4); // for how long it throttles
        refused(answer.get_i16())?;
        Ok(Writer { id: answer.get_i64(), epoch: answer.get_i16() })
    }

    /// Writes the first record of the writer's epoch to a lane, as a part of a transaction.
    pub(super) async fn produce(
        &mut self,
        transactional_id: &str,
        writer: Writer,
        lane: &SourceLane,
        value: &[u8],
    ) -> Result<(), Refused> {
        self.write(Some(transactional_id), lane, &batch::of_one(writer, value)).await
    }

    /// Writes a record that has a header of this name, which need not be text.
    pub(super) async fn produce_with_header(
        &mut self,
        name: &[u8],
        lane: &SourceLane,
        value: &[u8],
    ) -> Result<(), Refused> {
        self.write(None, lane, &batch::with_header(name, value)).await
    }

    async fn write(
        &mut self,
        transactional_id: Option<&str>,
        lane: &SourceLane,
        batch: &[u8],
    ) -> Result<(), Refused> {
        const ALL_REPLICAS: i16 = -1;
        const WRITTEN_MILLIS: i32 = 5_000;
        let mut body = BytesMut::new();
        match transactional_id {
            Some(id) => put_text(&mut body, id),
            None => body.put_i16(-1),
        }
        body.put_i16(ALL_REPLICAS);
        body.put_i32(WRITTEN_MILLIS);
        body.put_i32(1); // topics
        put_text(&mut body, &lane.topic);
        body.put_i32(1); // partitions
        body.put_u32(lane.lane.0);
        body.put_u32(length(batch));
        body.put_slice(batch);
        let mut answer = self.ask(PRODUCE, &body).await;
        answer.advance(4); // topics
        let topic = usize::from(answer.get_u16());
        answer.advance(topic + 4 + 4); // its name, partitions, the partition
        refused(answer.get_i16())
    }

    /// Sets what holds for every broker, or goes back to what holds by default. Other settings stay as they are.
    pub(super) async fn configure(&mut self, name: &str, value: Option<&str>) {
        const BROKER: i8 = 4;
        const ALL_BROKERS: &str = "";
        const SET: i8 = 0;
        const DELETE: i8 = 1;
        let mut body = BytesMut::new();
        body.put_i32(1); // resources
        body.put_i8(BROKER);
        put_text(&mut body, ALL_BROKERS);
        body.put_i32(1); // settings
        put_text(&mut body, name);
        match value {
            Some(value) => {
                body.put_i8(SET);
                put_text(&mut body, value);
            }
            None => {
                body.put_i8(DELETE);
                body.put_i16(-1); // no text
            }
        }
        body.put_u8(0); // not a trial
        let mut answer = self.ask(INCREMENTAL_ALTER_CONFIGS, &body).await;
        answer.advance(4 + 4); // for how long it throttles, resources
        assert_eq!(refused(answer.get_i16()), Ok(()), "{name} = {value:?}");
    }

    async fn ask(&mut self, api: Api, body: &[u8]) -> Bytes {
        let answered = tokio::time::timeout(ANSWER_MAX, self.exchange(api, body));
        answered.await.expect("an answer in time").expect("an answer")
    }

    async fn exchange(&mut self, api: Api, body: &[u8]) -> std::io::Result<Bytes> {
        self.correlation += 1;
        let mut request = BytesMut::new();
        request.put_i16(api.key);
        request.put_i16(api.version);
        request.put_i32(self.correlation);
        put_text(&mut request, "a test");
        request.put_slice(body);
        self.stream.write_u32(length(&request)).await?;
        self.stream.write_all(&request).await?;
        let bytes = self.stream.read_u32().await?;
        assert!(bytes <= ANSWER_BYTES_MAX, "an answer of {bytes} bytes");
        let mut answer = vec![0; usize::try_from(bytes).expect("it fits")];
        self.stream.read_exact(&mut answer).await?;
        let mut answer = Bytes::from(answer);
        assert_eq!(answer.get_i32(), self.correlation, "the answer to another question");
        Ok(answer)
    }
}

fn refused(code: i16) -> Result<(), Refused> {
    if code == 0 { Ok(()) } else { Err(Refused(code)) }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a short one")
}

fn put_text(to: &mut BytesMut, text: &str) {
    to.put_i16(i16::try_from(text.len()).expect("a short text"));
    to.put_slice(text.as_bytes());
}
