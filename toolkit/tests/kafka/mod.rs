//! The cluster under test, and what is done to it behind the log's back.

mod foreign;
mod hanging;
mod publishing;
mod raw;
mod reading;
mod topics;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use quadrille::{
    id::{Lane, SourceLane},
    log::{
        EventLog, Header, LogError, NewRecord, Publisher, TopicSpec,
        kafka::{KafkaConfig, KafkaLog},
        record::name,
    },
    runtime::Timestamp,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{Header as KafkaHeader, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tokio::sync::OnceCell;

const ADDRESS: &str = "QUADRILLE_TEST_KAFKA";
const DEADLINE: Duration = Duration::from_secs(30);
static SAID: OnceCell<()> = OnceCell::const_new();

pub(crate) struct Cluster {
    servers: String,
}

/// The cluster whose address the environment gives.
pub(crate) async fn connect() -> Arc<Cluster> {
    let Ok(servers) = std::env::var(ADDRESS) else {
        panic!("{ADDRESS} is not set: run these tests with `cargo xtask test`");
    };
    let cluster = Arc::new(Cluster { servers });
    cluster.introduce().await;
    cluster
}

impl Cluster {
    pub(crate) fn config(&self) -> KafkaConfig {
        let mut config = KafkaConfig::new(&self.servers);
        // Whoever gives a cluster for tests knows where it is.
        config.plaintext_off_loopback = true;
        // The suite's records are old enough to expire at once.
        config.topics.retention = None;
        config
    }

    pub(crate) fn log(&self) -> KafkaLog {
        KafkaLog::new(self.config()).expect("a good configuration")
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.servers);
        client
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    /// Says once on which cluster the tests run.
    async fn introduce(&self) {
        let (client, servers) = (self.client(), self.servers.clone());
        let say = move || {
            let consumer: BaseConsumer = client.create().expect("a consumer");
            let metadata = consumer.fetch_metadata(None, DEADLINE).expect("a cluster that answers");
            let id = consumer.client().fetch_cluster_id(DEADLINE).unwrap_or_default();
            let brokers = metadata.brokers().len();
            let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
            eprintln!(
                "Kafka at {servers}: cluster {id}, {brokers} broker(s); librdkafka {librdkafka}"
            );
        };
        SAID.get_or_init(|| async { tokio::task::spawn_blocking(say).await.expect("it answers") })
            .await;
    }

    /// The settings of a topic.
    pub(crate) async fn settings(&self, topic: &str) -> HashMap<String, String> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let found = self.admin().describe_configs(&asked, &AdminOptions::new()).await;
        let found = found.expect("an answer").remove(0).expect("settings");
        found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
    }

    pub(crate) async fn delete_records_before(&self, source: &SourceLane, offset: i64) {
        let mut list = TopicPartitionList::new();
        let partition = i32::try_from(source.lane.0).unwrap();
        list.add_partition_offset(&source.topic, partition, Offset::Offset(offset)).unwrap();
        self.admin().delete_records(&list, &AdminOptions::new()).await.expect("deleted records");
    }

    pub(crate) async fn make_topic(&self, spec: &TopicSpec, settings: &[(&str, &str)]) {
        let lanes = i32::try_from(spec.lanes).unwrap();
        let mut topic = NewTopic::new(&spec.name, lanes, TopicReplication::Fixed(1));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        let made = self.admin().create_topics([&topic], &AdminOptions::new()).await;
        made.expect("an answer").remove(0).expect("a topic");
    }

    pub(crate) async fn delete_topic(&self, name: &str) {
        let deleted = self.admin().delete_topics(&[name], &AdminOptions::new()).await;
        deleted.expect("an answer").remove(0).expect("a deleted topic");
    }

    /// Records of another producer, without a transaction.
    pub(crate) async fn produce(&self, topic: &str, records: Vec<NewRecord>) {
        let client = self.client();
        self.blocking(topic, move |topic| {
            let producer: Raw = client.create().expect("a producer");
            send(&producer, topic, &records);
        })
        .await;
    }

    /// A transaction that is written and never ended.
    pub(crate) async fn leave_open(&self, id: &str, topic: &str, records: Vec<NewRecord>) {
        let mut client = self.client();
        client.set("transactional.id", id).set("transaction.timeout.ms", "600000");
        self.blocking(topic, move |topic| {
            let producer: Raw = client.create().expect("a producer");
            producer.init_transactions(DEADLINE).expect("an epoch");
            producer.begin_transaction().expect("a transaction");
            send(&producer, topic, &records);
        })
        .await;
    }

    async fn blocking(&self, topic: &str, work: impl FnOnce(&str) + Send + 'static) {
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || work(&topic)).await.expect("it worked");
    }
}

type Raw = ThreadedProducer<DefaultProducerContext>;

/// Sends the records and waits for their acknowledgement.
fn send(producer: &Raw, topic: &str, records: &[NewRecord]) {
    for record in records {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |all, header| {
            all.insert(KafkaHeader { key: header.name, value: Some(header.value) })
        });
        let message = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(i32::try_from(record.lane.0).unwrap())
            .key(&record.key)
            .payload(&record.value)
            .headers(headers)
            .timestamp(record.time.0 / 1000);
        producer.send(message).map_err(|(error, _)| error).expect("it is queued");
    }
    producer.flush(DEADLINE).expect("acknowledgements");
}

pub(crate) fn unique(name: &str) -> String {
    format!("kafka.{name}.{:016x}", rand::random::<u64>())
}

pub(crate) fn spec(name: &str, lanes: u32) -> TopicSpec {
    TopicSpec { name: name.into(), lanes, record_bytes_max: 1_000_000 }
}

/// A record with a lane number.
pub(crate) fn numbered(lane: u32, seq: u64) -> NewRecord {
    NewRecord {
        lane: Lane(lane),
        key: format!("key {seq}").into(),
        value: seq.to_string().into(),
        headers: vec![Header { name: name::LANE_SEQ.into(), value: seq.to_string().into() }].into(),
        time: Timestamp(1_700_000_000_000_000),
    }
}

/// A fresh topic and a log.
pub(crate) async fn topic(log: &KafkaLog, lanes: u32) -> Arc<str> {
    let name = unique("topic");
    log.ensure_topic(&spec(&name, lanes)).await.expect("a new topic");
    name.into()
}

/// A topic that is deleted is there for a moment yet.
async fn until_gone(log: &KafkaLog, topic: &str) {
    let until = Instant::now() + DEADLINE;
    while log.lanes_of(topic).await.is_ok() {
        assert!(Instant::now() < until, "{topic} does not go away");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks until the log is available.
pub(crate) async fn publisher(log: &KafkaLog, id: &str, topic: &str) -> Box<dyn Publisher> {
    let until = Instant::now() + DEADLINE;
    loop {
        match log.publisher(id, topic).await {
            Ok(publisher) => return publisher,
            Err(LogError::Unavailable(_)) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("no publisher: {error}"),
        }
    }
}
